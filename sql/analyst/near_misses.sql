-- Which dropped rows came closest to staying, and what blocked them?
-- $scope scope = null  a source or mixture; all of them when left out
-- $rows count = 20  how many to show
select scope_kind, scope, sample_id, similarity, threshold, blocked_by, evol_score
from ledger
where verdict = 'near_duplicate' and ($scope is null or scope = $scope)
order by similarity - threshold, sample_id, scope_kind, scope
limit $rows;
