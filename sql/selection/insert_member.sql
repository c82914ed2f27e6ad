-- The members of $version, which is registered already, out of `members_now`: with the ingest of their source that they
-- stood in (of a frozen base, the topmost one that holds them) and their nearest kept row in ledger $ledger_id.
insert into store.selection_member by name
with placed as (
    select m.sample_id, arg_min(p.seq, p.depth) as seq
    from members_now m
    join store.selection_pin p on p.source = split_part(m.sample_id, ':', 1)
    join store.occurrence o
        on o.sample_id = m.sample_id and o.from_seq <= p.seq and (o.to_seq is null or o.to_seq > p.seq)
    where p.selection_version = $version
    group by m.sample_id
)
select
    $version as selection_version, m.position, m.sample_id, m.rank, m.evol_score,
    placed.seq, r.similarity, r.blocked_by
from members_now m
left join placed on placed.sample_id = m.sample_id
left join store.ledger_row r
    on r.ledger_id = $ledger_id and r.sample_id = m.sample_id and r.verdict = 'kept'
order by m.position;
