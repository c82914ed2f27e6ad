-- Similarity of each row of $ledger_id that was compared up to its $budget-th kept row, to the nearest kept before it.
select r.similarity
from store.ledger_row r
where r.ledger_id = $ledger_id and r.similarity is not null and r.verdict in ('kept', 'near_duplicate')
  and r.rank <= (
      select max(k.rank) from store.ledger_row k where k.ledger_id = $ledger_id and k.kept_position <= $budget
  );
