-- Which rows with the best scores were left out as near-duplicates, and of what?
-- $scope scope = null  a source or mixture; all of them when left out
-- $rows count = 20  how many of each scope
select l.scope_kind, l.scope, l.rank, l.evol_score, l.similarity, l.sample_id, l.blocked_by,
       t.instruction[:100] as instruction
from (
    select * from ledger where verdict = 'near_duplicate' and ($scope is null or scope = $scope)
    qualify row_number() over (partition by scope_kind, scope order by rank) <= $rows
) l
left join turns t on t.sample_id = l.sample_id and t.turn = 0
order by l.scope_kind, l.scope, l.rank;
