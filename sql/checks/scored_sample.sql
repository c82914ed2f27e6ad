-- A sample of $n rows of the scored pool of $source, another one for each pool version, with the scores of their turns:
-- (sample id, evol_score, products, complexity by turn, quality by turn).
with sample as (
    select sample_id, evol_score, turn_products
    from store.scored_pool
    where source = $source
    order by md5(pool_version || content_sha256), sample_id
    limit $n
)
select
    s.sample_id, any_value(s.evol_score), any_value(s.turn_products),
    list(c.score order by t.turn), list(q.score order by t.turn)
from sample s
join store.turn t on t.sample_id = s.sample_id
left join store.scored_turn c
    on c.source = $source and c.sample_id = t.sample_id and c.turn = t.turn and c.measure = 'complexity'
left join store.scored_turn q
    on q.source = $source and q.sample_id = t.sample_id and q.turn = t.turn and q.measure = 'quality'
group by s.sample_id
order by s.sample_id;
