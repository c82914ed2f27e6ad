-- What does the cut cost? The lowest score that each current selection takes of each source, and the best it leaves.
-- $scope scope = null  a source or mixture; all of them when left out
select s.scope_kind, s.scope, s.budget, l.source, count(m.sample_id) as selected,
       min(m.evol_score) as lowest_selected,
       max(l.evol_score) filter (where m.sample_id is null and l.verdict in ('kept', 'unvisited')) as best_beyond
from selections s
join ledger l on l.ledger_id = s.ledger_id
left join selected m on m.selection_version = s.selection_version and m.sample_id = l.sample_id
where s.is_head and ($scope is null or s.scope = $scope)
group by s.scope_kind, s.scope, s.budget, l.source
order by s.scope_kind, s.scope, s.budget, l.source;
