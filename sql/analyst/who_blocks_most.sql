-- Which kept rows blocked the most others, and what do they ask?
-- $scope scope = null  a source or mixture; all of them when left out
-- $rows count = 20  how many to show
select l.scope_kind, l.scope, l.blocked_by as sample_id, count(*) as blocked,
       any_value(t.instruction)[:100] as instruction
from ledger l
left join turns t on t.sample_id = l.blocked_by and t.turn = 0
where l.verdict = 'near_duplicate' and ($scope is null or l.scope = $scope)
group by l.scope_kind, l.scope, l.blocked_by
order by blocked desc, sample_id, l.scope_kind, l.scope
limit $rows;
