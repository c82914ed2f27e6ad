-- Scores of every scored row of $ledger_id, and whether it is among the first $budget kept; no order.
-- $complexity, $quality: the scorers of the selection; means of other scorers are NULL.
select r.evol_score, p.complexity, p.quality, coalesce(r.kept_position <= $budget, false) as selected
from store.ledger_row r
left join store.scored_pool p
    on p.sample_id = r.sample_id and p.scorer_complexity = $complexity and p.scorer_quality = $quality
where r.ledger_id = $ledger_id and r.evol_score is not null;
