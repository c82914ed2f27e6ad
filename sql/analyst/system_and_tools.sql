-- How many rows have a system message or tools, in each current selection and in what it was selected from?
-- $scope scope = null  a source or mixture; all of them when left out
select s.scope_kind, s.scope, s.budget,
       round(count(m.sample_id) filter (where p.has_system) / nullif(count(m.sample_id), 0), 4) as selected_system,
       round(count(*) filter (where p.has_system) / count(*), 4) as pool_system,
       round(count(m.sample_id) filter (where p.has_tools) / nullif(count(m.sample_id), 0), 4) as selected_tools,
       round(count(*) filter (where p.has_tools) / count(*), 4) as pool_tools
from selections s
join ledger l on l.scope_kind = s.scope_kind and l.scope = s.scope
join pool p on p.sample_id = l.sample_id
left join selected m on m.selection_version = s.selection_version and m.sample_id = l.sample_id
where s.is_head and ($scope is null or s.scope = $scope)
group by s.scope_kind, s.scope, s.budget
order by s.scope_kind, s.scope, s.budget;
