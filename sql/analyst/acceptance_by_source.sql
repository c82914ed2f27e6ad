-- How much of each source does every current selection take?
-- $scope scope = null  a source or mixture; all of them when left out
select s.scope_kind, s.scope, s.budget, m.source, count(*) as selected, any_value(p.rows) as pool_rows,
       round(count(*) / any_value(p.rows), 4) as share
from selections s
join selected m on m.selection_version = s.selection_version
left join (select source, count(*) as rows from pool group by source) p on p.source = m.source
where s.is_head and ($scope is null or s.scope = $scope)
group by all
order by s.scope_kind, s.scope, s.budget, selected desc, m.source;
