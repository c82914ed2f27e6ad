-- Rows of ledger $ledger_id that stand in no pool of $sources at the ingest that each of $versions names: those of a
-- frozen base whose files left since.
with pin as (
    select w.source, max(v.seq) as seq
    from (select unnest($sources) as source, unnest($versions) as pool_version) w
    join store.pool_version v on v.source = w.source and v.pool_version = w.pool_version
    group by w.source
)
select count(*)
from store.ledger_row r
where r.ledger_id = $ledger_id and r.reason = 'frozen_base' and not exists (
    select 1
    from store.occurrence o
    join pin p on p.source = o.source
    left join store.takedown t on t.sample_id = o.sample_id
    where o.sample_id = r.sample_id and o.from_seq <= p.seq and (o.to_seq is null or o.to_seq > p.seq)
        and (t.sample_id is null or t.from_seq > p.seq)
);
