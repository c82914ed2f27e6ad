-- Which selected talks of several turns have one very weak turn?
-- $scope scope = null  a source or mixture; all of them when left out
-- $below number = 2  quality under which a turn is weak
-- $rows count = 20  how many to show
select s.scope_kind, s.scope, s.budget, m.position, m.sample_id, q.turn, q.score as quality,
       t.instruction[:100] as instruction
from selections s
join selected m on m.selection_version = s.selection_version
join pool p on p.sample_id = m.sample_id and p.n_turns > 1
join scores q on q.sample_id = m.sample_id and q.measure = 'quality' and q.score < $below
join turns t on t.sample_id = q.sample_id and t.turn = q.turn
where s.is_head and ($scope is null or s.scope = $scope)
order by q.score, m.sample_id, q.turn, s.scope_kind, s.scope, s.budget
limit $rows;
