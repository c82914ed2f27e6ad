-- Are multi-turn talks favoured? Mean turns of the selected rows over mean turns of the rows they were selected from.
-- $scope scope = null  a source or mixture; all of them when left out
select s.scope_kind, s.scope, s.budget,
       round(avg(p.n_turns) filter (where m.sample_id is not null), 3) as selected_turns,
       round(avg(p.n_turns), 3) as pool_turns,
       round(avg(p.n_turns) filter (where m.sample_id is not null) / avg(p.n_turns), 3) as ratio
from selections s
join ledger l on l.scope_kind = s.scope_kind and l.scope = s.scope
join pool p on p.sample_id = l.sample_id
left join selected m on m.selection_version = s.selection_version and m.sample_id = l.sample_id
where s.is_head and ($scope is null or s.scope = $scope)
group by s.scope_kind, s.scope, s.budget
order by s.scope_kind, s.scope, s.budget;
