-- What did each filter keep out of the pass, by source and reason (numbers and quoted texts left away)?
-- $scope scope = null  a source or mixture; all of them when left out
select scope_kind, scope, source, verdict, regexp_replace(reason, '(: ).*', '') as reason, count(*) as rows
from ledger
where verdict in ('excluded', 'contaminated', 'unscored', 'invalid') and ($scope is null or scope = $scope)
group by all
order by scope_kind, scope, rows desc, source, verdict, reason;
