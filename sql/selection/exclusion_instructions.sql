-- (sample_id, instructions in turn order) of the pool rows of $sources, sources in the order given, then by id.
select t.sample_id, list(t.instruction order by t.turn)
from store.turn t
join store.pool_row r on r.sample_id = t.sample_id
join (select unnest($sources) as source, generate_subscripts($sources, 1) as place) s on s.source = r.source
group by s.place, t.sample_id
order by s.place, t.sample_id;
