-- Every turn in the pool of $source with both scores; NULL where a measure has no result.
select
    t.sample_id, x.content_sha256, t.turn, c.score, q.score,
    coalesce(c.status, 'missing'), coalesce(q.status, 'missing')
from store.turn t
join (
    select r.sample_id, v.content_sha256
    from store.pool_row r join store.conversation v on v.sample_id = r.sample_id
    where r.source = $source
) x on x.sample_id = t.sample_id
left join store.scored_turn c on c.sample_id = t.sample_id and c.turn = t.turn and c.measure = 'complexity'
left join store.scored_turn q on q.sample_id = t.sample_id and q.turn = t.turn and q.measure = 'quality'
order by t.sample_id, t.turn;
