-- Internal: which ingest (seq) of each source a selection was made from. Depth 0 are the sources of its own spec; a
-- frozen base stands one below, because its rows may have left the pool since. Of several ingests that gave one
-- pool version, the last one before the selection counts.
create or replace view store.selection_pin as
with recursive chain as (
    select s.selection_version, 0 as depth, s.spec, s.created_at from store.selection s
    union all
    select c.selection_version, c.depth + 1, b.spec, b.created_at
    from chain c
    join store.selection b on b.selection_version = c.spec ->> '$.frozen_base.selection_version'
), pinned as (
    select c.selection_version, c.depth, c.created_at, unnest(from_json(c.spec -> '$.sources', '[["VARCHAR"]]')) as pin
    from chain c
)
select
    p.selection_version, p.depth, p.pin[1] as source, p.pin[2] as pool_version,
    coalesce(max(v.seq) filter (where v.created_at <= p.created_at), min(v.seq)) as seq
from pinned p
left join store.pool_version v on v.source = p.pin[1] and v.pool_version = p.pin[2]
group by all;

-- From a selected row back to the file, line and runs it came from: one row for each place where it stood in the pool
-- version that the selection was made from, whatever became of files, scores and ledgers since. The small tables are
-- grouped by their keys, so that DuckDB leaves a join out of questions that ask for none of its columns.
create or replace view main.lineage as
select
    m.selection_version, m.position, m.sample_id, split_part(m.sample_id, ':', 1) as source,
    o.uri as file, o.file_sha256, o.line, o.own_id,
    f.batch_id, f.run_id as ingest_run_id, v.pool_version,
    s.scorer_complexity, s.scorer_quality, s.embedder,
    s.ledger_id, 'kept' as verdict, m.rank, m.position as kept_position, m.evol_score,
    m.similarity, m.blocked_by,
    s.run_id, s.created_at
from store.selection_member m
left join store.occurrence o
    on o.sample_id = m.sample_id and o.from_seq <= m.seq and (o.to_seq is null or o.to_seq > m.seq)
left join (
    select f.source, f.uri, f.file_sha256, f.from_seq, any_value(f.batch_id) as batch_id, any_value(i.run_id) as run_id
    from store.file f
    left join store.ingest_batch i on i.batch_id = f.batch_id
    group by all
) f on f.source = o.source and f.uri = o.uri and f.file_sha256 = o.file_sha256 and f.from_seq = o.from_seq
left join (
    select source, seq, any_value(pool_version) as pool_version from store.pool_version group by all
) v on v.source = split_part(m.sample_id, ':', 1) and v.seq = m.seq
left join (
    select
        selection_version, any_value(ledger_id) as ledger_id, any_value(run_id) as run_id,
        any_value(created_at) as created_at,
        any_value(spec ->> '$.fingerprints.complexity') as scorer_complexity,
        any_value(spec ->> '$.fingerprints.quality') as scorer_quality,
        any_value(spec ->> '$.fingerprints.embedder') as embedder
    from store.selection group by selection_version
) s on s.selection_version = m.selection_version;
