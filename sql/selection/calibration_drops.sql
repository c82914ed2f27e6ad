-- (kept, dropped, near) of the visited rows of $ledger_id; near are those within $near of $threshold.
select
    count(*) filter (verdict = 'kept'),
    count(*) filter (verdict = 'near_duplicate'),
    count(*) filter (verdict in ('kept', 'near_duplicate') and abs(similarity - $threshold) <= $near)
from store.ledger_row
where ledger_id = $ledger_id;
