-- Members of $version that no file and line is known of at the ingest that they were taken from.
select m.sample_id
from store.selection_member m
where m.selection_version = $version and not exists (
    select 1
    from store.occurrence o
    where o.sample_id = m.sample_id and o.uri <> '' and o.line > 0
        and o.from_seq <= m.seq and (o.to_seq is null or o.to_seq > m.seq)
)
order by 1;
