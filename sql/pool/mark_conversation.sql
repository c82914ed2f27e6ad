-- Bring the derived columns of the conversations of $source in line with `pool_row`; only rows that changed are written.
update store.conversation as c
set in_pool = n.in_pool, own_id = n.own_id, uri = n.uri, line = n.line
from (
    select k.sample_id, r.sample_id is not null as in_pool, r.own_id, r.uri, r.line
    from store.conversation k
    left join store.pool_row r on r.sample_id = k.sample_id
    where k.source = $source
      and (k.in_pool, k.own_id, k.uri, k.line) is distinct from (r.sample_id is not null, r.own_id, r.uri, r.line)
) n
where n.sample_id = c.sample_id;
