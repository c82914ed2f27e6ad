-- (source, reason, rows) in quarantine at the pool versions $versions of $sources.
with pinned as (
    select w.source, max(p.seq) as seq
    from (select unnest($sources) as source, unnest($versions) as pool_version) w
    join store.pool_version p on p.source = w.source and p.pool_version = w.pool_version
    group by w.source
)
select q.source, q.reason, count(*)
from store.quarantine q
join pinned on pinned.source = q.source
where q.from_seq <= pinned.seq and (q.to_seq is null or q.to_seq > pinned.seq)
group by all
order by q.source, count(*) desc, q.reason;
