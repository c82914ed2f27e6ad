-- How close do rows stand to the nearest row kept before them? Rows by steps of similarity.
-- $scope scope = null  a source or mixture; all of them when left out
-- $step number = 0.05  width of a step
select scope_kind, scope, round(floor(similarity / $step) * $step, 6) as from_similarity,
       count(*) filter (where verdict = 'kept') as kept,
       count(*) filter (where verdict = 'near_duplicate') as near_duplicate
from ledger
where verdict in ('kept', 'near_duplicate') and similarity is not null and ($scope is null or scope = $scope)
group by all
order by scope_kind, scope, from_similarity desc;
