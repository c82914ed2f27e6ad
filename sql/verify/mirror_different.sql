-- (source, id, turn, measure) where the mirror of the scores of `covered_now` is not what `scores_now` says.
with expected as (
    select r.source, t.sample_id, t.turn, v.step as measure, n.score, n.status
    from store.scored_pool r
    join store.turn t on t.sample_id = r.sample_id
    join covered_now v on v.source = r.source and v.step <> 'embedding'
        and v.fingerprint = case v.step when 'complexity' then r.scorer_complexity else r.scorer_quality end
        and v.pool_version = r.pool_version
    join scores_now n
        on n.measure = v.step and n.scorer_fp = v.fingerprint
        and n.prompt_sha256
        = case v.step when 'complexity' then t.complexity_prompt_sha256 else t.quality_prompt_sha256 end
)
select e.source, e.sample_id, e.turn, e.measure
from expected e
left join store.scored_turn m
    on m.source = e.source and m.sample_id = e.sample_id and m.turn = e.turn and m.measure = e.measure
where m.sample_id is null or m.score is distinct from e.score or m.status is distinct from e.status
order by 1, 2, 3, 4;
