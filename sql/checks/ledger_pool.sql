-- Rows of the pool versions $versions of $sources, by the record of these versions.
select coalesce(sum(n_rows), 0)::bigint
from (
    select w.source, max(v.n_rows) as n_rows
    from (select unnest($sources) as source, unnest($versions) as pool_version) w
    join store.pool_version v on v.source = w.source and v.pool_version = w.pool_version
    group by w.source
);
