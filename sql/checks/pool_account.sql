-- Where the rows of $source's files went, each counted in its own table: read, occurrences, different ones,
-- quarantined, taken down, in the pool, rows that the pool version was recorded with.
with living as (
    select sample_id from store.occurrence where source = $source and to_seq is null
)
select
    (select coalesce(sum(n_read), 0)::bigint from store.file where source = $source and to_seq is null),
    (select count(*) from living),
    (select count(distinct sample_id) from living),
    (select count(*) from store.quarantine where source = $source and to_seq is null),
    (select count(distinct l.sample_id) from living l semi join store.takedown t on t.sample_id = l.sample_id),
    (select count(*) from store.pool_row where source = $source),
    (select coalesce(max_by(n_rows, seq), 0) from store.pool_version where source = $source);
