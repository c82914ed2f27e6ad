-- The near-duplicates of $ledger_id that came closest to staying, beside the rows that blocked them; $limit.
select r.similarity, a.instruction, b.instruction
from store.ledger_row r
join store.turn a on a.sample_id = r.sample_id and a.turn = 0
join store.turn b on b.sample_id = r.blocked_by and b.turn = 0
where r.ledger_id = $ledger_id and r.verdict = 'near_duplicate'
order by r.similarity, r.rank
limit $limit;
