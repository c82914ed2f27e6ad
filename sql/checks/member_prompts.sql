-- (id, complexity prompt, quality prompt) of every turn of the members of $version that were not frozen.
select t.sample_id, t.complexity_prompt_sha256, t.quality_prompt_sha256
from store.turn t
semi join (
    select m.sample_id
    from store.selection_member m
    where m.selection_version = $version and m.sample_id not in (
        select r.sample_id from store.ledger_row r where r.ledger_id = $ledger_id and r.reason = 'frozen_base'
    )
) m on m.sample_id = t.sample_id;
