-- Prompts that quality must cover in the pool of $source, once each.
select t.quality_prompt_sha256 as key, max(length(t.instruction) + length(t.response)) as n_chars
from store.turn t
semi join (select sample_id from store.pool_row where source = $source) r on r.sample_id = t.sample_id
group by 1 order by 1;
