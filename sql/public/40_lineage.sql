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
-- version that the selection was made from, whatever became of files, scores and ledgers since.
create or replace view main.lineage as
with pin as materialized (
    from store.selection_pin
), made as materialized (
    select
        s.selection_version, s.ledger_id, s.run_id, s.created_at,
        s.spec ->> '$.fingerprints.complexity' as scorer_complexity,
        s.spec ->> '$.fingerprints.quality' as scorer_quality,
        s.spec ->> '$.fingerprints.embedder' as embedder
    from store.selection s
), based as materialized (
    select distinct p.selection_version from pin p where p.depth > 0
), placed as (
    select m.selection_version, m.position, m.sample_id, m.rank, m.evol_score, p.source, p.pool_version, p.seq
    from store.selection_member m
    anti join based on based.selection_version = m.selection_version
    left join pin p
        on p.selection_version = m.selection_version and p.source = split_part(m.sample_id, ':', 1)
    union all
    -- Over a frozen base: the topmost pool version that holds the row.
    select
        m.selection_version, m.position, m.sample_id, m.rank, m.evol_score,
        any_value(p.source), arg_min(p.pool_version, p.depth), arg_min(p.seq, p.depth)
    from store.selection_member m
    semi join based on based.selection_version = m.selection_version
    join pin p on p.selection_version = m.selection_version and p.source = split_part(m.sample_id, ':', 1)
    join store.occurrence o
        on o.sample_id = m.sample_id and o.from_seq <= p.seq and (o.to_seq is null or o.to_seq > p.seq)
    group by all
)
select
    m.selection_version, m.position, m.sample_id, m.source,
    o.uri as file, o.file_sha256, o.line, o.own_id,
    f.batch_id, i.run_id as ingest_run_id, m.pool_version,
    s.scorer_complexity, s.scorer_quality, s.embedder,
    s.ledger_id, 'kept' as verdict, m.rank, m.position as kept_position, m.evol_score,
    r.similarity, r.blocked_by,               -- NULL once the rows of the ledger were let go
    s.run_id, s.created_at
from placed m
join made s on s.selection_version = m.selection_version
left join store.occurrence o
    on o.sample_id = m.sample_id and o.from_seq <= m.seq and (o.to_seq is null or o.to_seq > m.seq)
left join store.file f
    on f.source = o.source and f.uri = o.uri and f.file_sha256 = o.file_sha256 and f.from_seq = o.from_seq
left join store.ingest_batch i on i.batch_id = f.batch_id
left join store.ledger_row r
    on r.ledger_id = s.ledger_id and r.sample_id = m.sample_id and r.verdict = 'kept';
