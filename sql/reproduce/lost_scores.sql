-- (source, measure, prompts without a result, prompts) of the scored sources in `scored_now`.
select r.source, m.measure, count(distinct p.prompt) filter (where s.sample_id is null), count(distinct p.prompt)
from store.pool_row r
semi join scored_now n on n.source = r.source
join store.turn t on t.sample_id = r.sample_id
cross join (select unnest(['complexity', 'quality']) as measure) m
cross join lateral (
    select case when m.measure = 'complexity' then t.complexity_prompt_sha256 else t.quality_prompt_sha256 end as prompt
) p
left join store.scored_turn s on s.sample_id = t.sample_id and s.turn = t.turn and s.measure = m.measure
group by all
having count(*) filter (where s.sample_id is null) > 0
order by 1, 2;
