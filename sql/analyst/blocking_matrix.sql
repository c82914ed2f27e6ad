-- Rows of which source block rows of which other?
-- $scope scope = null  a source or mixture; all of them when left out
select scope_kind, scope, source as blocked_source, split_part(blocked_by, ':', 1) as blocking_source,
       count(*) as blocked, round(median(similarity), 4) as median_similarity
from ledger
where verdict = 'near_duplicate' and ($scope is null or scope = $scope)
group by all
order by scope_kind, scope, blocked desc, blocked_source, blocking_source;
