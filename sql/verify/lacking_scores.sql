-- (source, measure, prompt) that the pools of `covered_now` (source, step, fingerprint) have and `scores_now` lacks.
with wanted as (
    select distinct r.source, 'complexity' as measure, t.complexity_prompt_sha256 as prompt
    from store.turn t join store.pool_row r on r.sample_id = t.sample_id
    union all
    select distinct r.source, 'quality', t.quality_prompt_sha256
    from store.turn t join store.pool_row r on r.sample_id = t.sample_id
)
select w.source, w.measure, w.prompt
from wanted w
join covered_now v on v.source = w.source and v.step = w.measure
anti join scores_now n
    on n.prompt_sha256 = w.prompt and n.measure = w.measure and n.scorer_fp = v.fingerprint
order by 1, 2, 3;
