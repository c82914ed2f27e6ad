-- (source, step, fingerprint, pool version) of every step that covers the present pool of its source.
select v.source, v.step, v.fingerprint, v.pool_version
from store.coverage v
join (
    select source, max_by(pool_version, seq) as pool_version from store.pool_version group by 1
) p on p.source = v.source and p.pool_version = v.pool_version
order by 1, 2;
