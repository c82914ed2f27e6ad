-- (similarity, row, nearest row kept before it) of the rows of $ledger_id with $verdict, closest to the threshold first;
-- $limit. Rows that were taken down are not shown.
select r.similarity, r.sample_id, r.blocked_by
from store.ledger_row r
join store.ledger l on l.ledger_id = r.ledger_id
anti join store.takedown t on t.sample_id = r.sample_id
anti join store.takedown b on b.sample_id = r.blocked_by -- with `or`, one join compares every row with every take-down
where r.ledger_id = $ledger_id and r.verdict = $verdict and r.similarity is not null and r.blocked_by is not null
order by abs(r.similarity - l.threshold), r.rank
limit $limit;
