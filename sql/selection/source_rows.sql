-- Licence, pool size and living files of $sources.
select
    s.source, s.licence,
    (select count(*) from store.pool_row r where r.source = s.source),
    (select coalesce(list({'uri': f.uri, 'sha256': f.file_sha256} order by f.uri), [])
     from store.file f where f.source = s.source and f.to_seq is null)
from store.source s
where s.source in (select unnest($sources))
order by s.source;
