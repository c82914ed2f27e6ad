-- Every place where row $sample_id was ever read: those in the pool first, then the one that left last.
select
    o.uri as file, o.file_sha256, o.line, o.own_id, f.batch_id, i.ingested_at, i.run_id as ingest_run_id,
    o.from_seq, o.to_seq, v.pool_version as left_with, v.created_at as left_at,
    exists (select 1 from store.file g where g.source = o.source and g.uri = o.uri and g.to_seq is null) as file_stands
from store.occurrence o
left join store.file f
    on f.source = o.source and f.uri = o.uri and f.file_sha256 = o.file_sha256 and f.from_seq = o.from_seq
left join store.ingest_batch i on i.batch_id = f.batch_id
left join store.pool_version v on v.source = o.source and v.seq = o.to_seq
where o.sample_id = $sample_id
order by o.to_seq desc nulls first, o.from_seq, o.uri, o.line;
