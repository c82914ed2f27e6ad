-- Rows of ledger $ledger_id whose evol_score is another than in `scores_then`(sample_id, rank, evol_score).
select r.sample_id, t.evol_score, r.evol_score
from scores_then t
join store.ledger_row r on r.ledger_id = $ledger_id and r.sample_id = t.sample_id
where r.evol_score is distinct from t.evol_score
order by t.rank, r.sample_id;
