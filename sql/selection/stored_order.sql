-- The rows of $ledger_id with everything but what a pass decides, in a fixed order.
select
    r.sample_id, c.content_sha256, c.source, r.rank, r.verdict, r.reason, r.evol_score, r.blocked_by, r.similarity
from store.ledger_row r
join store.conversation c on c.sample_id = r.sample_id
where r.ledger_id = $ledger_id
order by r.sample_id;
