-- (source, versions of the parsing rules) of the files that counted for $sources at their pool versions $versions.
with pinned as (
    select w.source, max(p.seq) as seq
    from (select unnest($sources) as source, unnest($versions) as pool_version) w
    join store.pool_version p on p.source = w.source and p.pool_version = w.pool_version
    group by w.source
)
select pinned.source, list(distinct b.reader order by b.reader)
from pinned
join store.file f on f.source = pinned.source and f.from_seq <= pinned.seq
    and (f.to_seq is null or f.to_seq > pinned.seq)
join store.ingest_batch b on b.batch_id = f.batch_id
group by 1 order by 1;
