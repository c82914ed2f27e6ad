-- Rows that ledger $ledger_id kept or dropped for a kept one, and what they lack: a place in a file at the ingest that
-- each of $versions of $sources names, a score, the row that was kept before them. Where rows of a frozen base stood
-- was looked at when that was selected.
create temp table ledger_link as
with pin as (
    select w.source, max(v.seq) as seq
    from (select unnest($sources) as source, unnest($versions) as pool_version) w
    join store.pool_version v on v.source = w.source and v.pool_version = w.pool_version
    group by w.source
), traced as (
    select distinct o.sample_id
    from store.occurrence o
    join pin p on p.source = o.source
    where o.from_seq <= p.seq and (o.to_seq is null or o.to_seq > p.seq)
), kept as (
    select sample_id, kept_position, rank from store.ledger_row where ledger_id = $ledger_id and verdict = 'kept'
)
select
    r.sample_id,
    t.sample_id is null and r.reason is distinct from 'frozen_base' as nowhere,
    r.evol_score is null or isnan(r.evol_score) as unscored,
    r.verdict = 'near_duplicate' and (k.sample_id is null or k.rank >= r.rank) as unblocked
from store.ledger_row r
left join traced t on t.sample_id = r.sample_id
left join kept k on k.sample_id = r.blocked_by
where r.ledger_id = $ledger_id and r.verdict in ('kept', 'near_duplicate');
