-- How do the versions of one scope and budget differ in size, score, length, turns and sources, oldest first?
-- $scope scope = null  a source or mixture; all of them when left out
-- $budget count = null  one budget; all of them when left out
select s.scope_kind, s.scope, s.budget, s.created_at, s.selection_version, s.is_head, s.trial, s.n_rows,
       round(avg(m.evol_score), 3) as mean_score, min(m.evol_score) as lowest_score,
       round(avg(p.n_chars), 1) as mean_chars, round(avg(p.n_turns), 3) as mean_turns,
       count(distinct m.source) as sources, count(*) - count(p.sample_id) as left_the_pool_since
from selections s
join selected m on m.selection_version = s.selection_version
left join pool p on p.sample_id = m.sample_id
where ($scope is null or s.scope = $scope) and ($budget is null or s.budget = $budget)
group by all
order by s.scope_kind, s.scope, s.budget, s.created_at, s.selection_version;
