-- Turns in the pool of $source with the prompt that quality scores and its length in characters.
create temp table checked_turn as
select t.sample_id, t.quality_prompt_sha256 as key, length(t.instruction) + length(t.response) as n_chars
from store.turn t
semi join (select sample_id from store.pool_row where source = $source) r on r.sample_id = t.sample_id;
