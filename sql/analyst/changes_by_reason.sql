-- Why did rows come and go from one version to another, by source?
-- $a version = null  the earlier one; the one before b of its scope and budget when left out
-- $b version = null  the later one; the newest that has an earlier one when left out
with pair as (
    select selection_version as b, lag(selection_version) over same as a, created_at
    from selections
    window same as (partition by scope_kind, scope, budget order by created_at, selection_version)
)
select change, reason, split_part(sample_id, ':', 1) as source, count(*) as rows
from selection_diff(
    coalesce($a, (select p.a from pair p where p.b = $b),
             (select arg_max(p.a, (p.created_at, p.b)) from pair p where p.a is not null)),
    coalesce($b, (select max(p.b) from pair p where p.a = $a),
             (select arg_max(p.b, (p.created_at, p.b)) from pair p where p.a is not null))
)
group by all
order by change, reason nulls first, rows desc, source;
