-- Which dropped rows came closest to staying, and what blocked them?
select l.scope, l.sample_id, l.similarity, l.threshold, l.blocked_by, l.evol_score
from ledger l
where l.verdict = 'near_duplicate'
order by l.similarity - l.threshold, l.sample_id
limit 20;
