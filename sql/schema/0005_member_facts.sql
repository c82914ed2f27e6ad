-- What `lineage` tells of a selected row, kept beside it: which ingest (seq) of its source it stood in, and its nearest
-- kept row, which outlives the rows of its ledger. Looking both up took four times as long as reading them.
alter table store.selection_member add column seq bigint;
alter table store.selection_member add column similarity double;
alter table store.selection_member add column blocked_by varchar;

-- Versions that stand: as `selection/insert_member` does for new ones.
update store.selection_member as m
set seq = n.seq, similarity = n.similarity, blocked_by = n.blocked_by
from (
    with recursive chain as (
        select s.selection_version, 0 as depth, s.spec, s.created_at from store.selection s
        union all
        select c.selection_version, c.depth + 1, b.spec, b.created_at
        from chain c
        join store.selection b on b.selection_version = c.spec ->> '$.frozen_base.selection_version'
    ), pinned as (
        select c.selection_version, c.depth, c.created_at,
            unnest(from_json(c.spec -> '$.sources', '[["VARCHAR"]]')) as pin
        from chain c
    ), pin as (
        select p.selection_version, p.depth, p.pin[1] as source,
            coalesce(max(v.seq) filter (where v.created_at <= p.created_at), min(v.seq)) as seq
        from pinned p
        join store.pool_version v on v.source = p.pin[1] and v.pool_version = p.pin[2]
        group by all
    )
    select k.selection_version, k.sample_id, arg_min(p.seq, p.depth) as seq,
        any_value(r.similarity) as similarity, any_value(r.blocked_by) as blocked_by
    from store.selection_member k
    join store.selection s on s.selection_version = k.selection_version
    left join store.ledger_row r
        on r.ledger_id = s.ledger_id and r.sample_id = k.sample_id and r.verdict = 'kept'
    left join store.occurrence o on o.sample_id = k.sample_id
    left join pin p
        on p.selection_version = k.selection_version and p.source = split_part(k.sample_id, ':', 1)
        and o.from_seq <= p.seq and (o.to_seq is null or o.to_seq > p.seq)
    group by k.selection_version, k.sample_id
) n
where n.selection_version = m.selection_version and n.sample_id = m.sample_id;
