-- What would the next rows of budget add to each current selection, by source? (As far as its ledger was visited.)
-- $scope scope = null  a source or mixture; all of them when left out
-- $more count = 500  rows on top of the budget
select s.scope_kind, s.scope, s.budget, s.budget + $more as larger_budget, l.source, count(*) as added,
       max(l.evol_score) as highest, min(l.evol_score) as lowest
from selections s
join ledger l on l.ledger_id = s.ledger_id
where s.is_head and ($scope is null or s.scope = $scope)
  and l.kept_position > s.budget and l.kept_position <= s.budget + $more
group by all
order by s.scope_kind, s.scope, s.budget, added desc, l.source;
