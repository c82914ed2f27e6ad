-- (sample id, pairs that differ) between the mirror of $source and `expected_turn`, most first.
select coalesce(m.sample_id, e.sample_id) as sample_id, count(*) as n
from (select * from store.scored_turn where source = $source) m
full join expected_turn e on e.sample_id = m.sample_id and e.turn = m.turn and e.measure = m.measure
where m.sample_id is null or e.sample_id is null
    or m.score is distinct from e.score or m.status is distinct from e.status
group by 1
order by 2 desc, 1;
