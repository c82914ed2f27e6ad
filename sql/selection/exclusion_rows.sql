-- (sample_id, content_sha256) of the pool rows of $sources, sources in the order given, then by id.
select r.sample_id, c.content_sha256
from store.pool_row r
join store.conversation c on c.sample_id = r.sample_id
join (select unnest($sources) as source, generate_subscripts($sources, 1) as place) s on s.source = r.source
order by s.place, r.sample_id;
