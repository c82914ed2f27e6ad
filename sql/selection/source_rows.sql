-- Licence, rows and files of $sources at the pool versions $versions that a selection was made from.
with pinned as (
    select w.source, max(p.seq) as seq, any_value(p.n_rows) as n_rows
    from (select unnest($sources) as source, unnest($versions) as pool_version) w
    join store.pool_version p on p.source = w.source and p.pool_version = w.pool_version
    group by w.source
)
select
    pinned.source, s.licence, pinned.n_rows,
    (select coalesce(list({'uri': f.uri, 'sha256': f.file_sha256} order by f.uri, f.file_sha256), [])
     from store.file f
     where f.source = pinned.source and f.from_seq <= pinned.seq and (f.to_seq is null or f.to_seq > pinned.seq))
from pinned
join store.source s on s.source = pinned.source
order by pinned.source;
