-- The near-duplicates of $ledger_id up to its $budget-th kept row that came closest to staying, beside the rows that
-- blocked them, by their first instructions; $limit. Rows that were taken down are not shown.
select r.similarity, r.sample_id, a.instruction, r.blocked_by, b.instruction
from store.ledger_row r
join store.turn a on a.sample_id = r.sample_id and a.turn = 0
join store.turn b on b.sample_id = r.blocked_by and b.turn = 0
anti join store.takedown t on t.sample_id = r.sample_id or t.sample_id = r.blocked_by
where r.ledger_id = $ledger_id and r.verdict = 'near_duplicate'
  and r.rank <= (
      select max(k.rank) from store.ledger_row k where k.ledger_id = $ledger_id and k.kept_position <= $budget
  )
order by r.similarity, r.rank
limit $limit;
