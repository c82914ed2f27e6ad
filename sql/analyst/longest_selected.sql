-- Which rows of the current selections are longest?
-- $scope scope = null  a source or mixture; all of them when left out
-- $rows count = 20  how many of each selection
select s.scope_kind, s.scope, s.budget, m.position, p.n_chars, p.n_turns, p.sample_id, p.file, p.line
from selections s
join selected m on m.selection_version = s.selection_version
join pool p on p.sample_id = m.sample_id
where s.is_head and ($scope is null or s.scope = $scope)
qualify row_number() over (partition by s.selection_version order by p.n_chars desc, p.sample_id) <= $rows
order by s.scope_kind, s.scope, s.budget, p.n_chars desc, p.sample_id;
