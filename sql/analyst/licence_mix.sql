-- Under which licences do the rows of each current selection stand?
-- $scope scope = null  a source or mixture; all of them when left out
select s.scope_kind, s.scope, s.budget, coalesce(l.licence, 'unknown') as licence, count(*) as rows,
       round(count(*) / s.n_rows, 4) as share, list(distinct m.source order by m.source) as sources
from selections s
join selected m on m.selection_version = s.selection_version
left join (select source, any_value(licence) as licence from pool group by source) l on l.source = m.source
where s.is_head and ($scope is null or s.scope = $scope)
group by s.scope_kind, s.scope, s.budget, s.n_rows, l.licence
order by s.scope_kind, s.scope, s.budget, rows desc, licence;
