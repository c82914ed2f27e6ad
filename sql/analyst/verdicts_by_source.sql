-- What became of the rows of each source? Verdicts in the current ledgers, at their depth or at one budget.
-- $scope scope = null  a source or mixture; all of them when left out
-- $budget count = null  tell kept rows behind this budget apart; none when left out
select scope_kind, scope, source, count(*) as rows,
       count(*) filter (where verdict = 'kept' and ($budget is null or kept_position <= $budget)) as kept,
       count(*) filter (where verdict = 'kept' and kept_position > $budget) as kept_behind_budget,
       count(*) filter (where verdict = 'near_duplicate') as near_duplicate,
       count(*) filter (where verdict = 'unvisited') as unvisited,
       count(*) filter (where verdict = 'over_quota') as over_quota,
       count(*) filter (where verdict = 'excluded') as excluded,
       count(*) filter (where verdict = 'contaminated') as contaminated,
       count(*) filter (where verdict in ('unscored', 'invalid')) as unscored_or_invalid
from ledger
where $scope is null or scope = $scope
group by all
order by scope_kind, scope, source;
