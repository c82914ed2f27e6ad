-- Turns of row $sample_id with their scores, as far as they are in the store.
select
    t.turn, t.instruction, t.response, c.score as complexity, c.status as complexity_status,
    q.score as quality, q.status as quality_status
from store.turn t
left join store.scored_turn c on c.sample_id = t.sample_id and c.turn = t.turn and c.measure = 'complexity'
left join store.scored_turn q on q.sample_id = t.sample_id and q.turn = t.turn and q.measure = 'quality'
where t.sample_id = $sample_id
order by t.turn;
