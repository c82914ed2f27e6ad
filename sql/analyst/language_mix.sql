-- Which languages, as the rows' own labels have them, does each current selection take, and which does the pool have?
-- $scope scope = null  a source or mixture; all of them when left out
with mixed as (
    select s.scope_kind, s.scope, s.budget, coalesce(p.language, 'no label') as language,
           count(*) as pool_rows, count(m.sample_id) as selected
    from selections s
    join ledger l on l.scope_kind = s.scope_kind and l.scope = s.scope
    join pool p on p.sample_id = l.sample_id
    left join selected m on m.selection_version = s.selection_version and m.sample_id = l.sample_id
    where s.is_head and ($scope is null or s.scope = $scope)
    group by all
)
select *, round(pool_rows / sum(pool_rows) over version, 4) as share_of_pool,
       round(selected / nullif(sum(selected) over version, 0), 4) as share_of_selection
from mixed
window version as (partition by scope_kind, scope, budget)
order by scope_kind, scope, budget, pool_rows desc, language;
