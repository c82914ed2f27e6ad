-- Counts of $source over the files that stand in landing: read, occurrences, distinct, quarantined, in pool, taken down.
with living as (
    select sample_id from store.occurrence where source = $source and to_seq is null
)
select
    (select coalesce(sum(n_read), 0)::bigint from store.file where source = $source and to_seq is null),
    (select count(*) from living),
    (select count(distinct sample_id) from living),
    (select count(*) from store.quarantine where source = $source and to_seq is null),
    (select count(*) from store.pool_row where source = $source),
    (select count(distinct l.sample_id) from living l semi join store.takedown t on t.sample_id = l.sample_id);
