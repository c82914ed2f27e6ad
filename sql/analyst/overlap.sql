-- How many rows do current selections share with each other?
-- $scope scope = null  a source or mixture that one of the two is of; all of them when left out
-- $budget count = null  budget of both; all of them when left out
with heads as (
    select s.scope_kind, s.scope, s.budget, s.n_rows, m.sample_id
    from selections s join selected m on m.selection_version = s.selection_version
    where s.is_head and ($budget is null or s.budget = $budget)
)
select a.scope as scope_a, a.budget as budget_a, b.scope as scope_b, b.budget as budget_b, count(*) as shared,
       round(count(*) / least(a.n_rows, b.n_rows), 4) as share_of_smaller
from heads a
join heads b on b.sample_id = a.sample_id and (b.scope_kind, b.scope, b.budget) > (a.scope_kind, a.scope, a.budget)
where $scope is null or $scope in (a.scope, b.scope)
group by a.scope_kind, a.scope, a.budget, a.n_rows, b.scope_kind, b.scope, b.budget, b.n_rows
order by a.scope_kind, a.scope, a.budget, b.scope_kind, b.scope, b.budget;
