-- (id, content) of the members of $version that were not frozen.
select m.sample_id, c.content_sha256
from store.selection_member m
join store.conversation c on c.sample_id = m.sample_id
where m.selection_version = $version and m.sample_id not in (
    select r.sample_id from store.ledger_row r where r.ledger_id = $ledger_id and r.reason = 'frozen_base'
)
order by m.position;
