-- What the current ledgers say of row $sample_id; of one scope where $scope is not NULL.
select
    l.sample_id, l.scope_kind, l.scope, l.ledger_id, l.rank, l.verdict, l.reason, l.evol_score, l.kept_position,
    l.blocked_by, l.similarity, l.threshold
from main.ledger l
where l.sample_id = $sample_id and ($scope is null or l.scope = $scope)
order by l.scope_kind, l.scope;
