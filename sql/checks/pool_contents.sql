-- Contents in the pool of $source, once each.
select distinct c.content_sha256
from store.conversation c
semi join (select sample_id from store.pool_row where source = $source) r on r.sample_id = c.sample_id
where c.source = $source
order by 1;
