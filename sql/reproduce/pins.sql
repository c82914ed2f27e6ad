-- (source, pool_version, seq, rows) of the pool versions $versions of $sources, as of $moment: a version may return.
select w.source, w.pool_version, first(p.seq order by p.created_at <= $moment desc, p.seq desc),
    first(p.n_rows order by p.created_at <= $moment desc, p.seq desc)
from (select unnest($sources) as source, unnest($versions) as pool_version) w
join present.store.pool_version p on p.source = w.source and p.pool_version = w.pool_version
group by all
order by w.source;
