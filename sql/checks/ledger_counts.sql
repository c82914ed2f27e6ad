-- (ids, smallest, greatest and different kept positions, the same of ranks, rows with a rank) of ledger $ledger_id.
select
    count(distinct sample_id),
    coalesce(min(kept_position), 0), coalesce(max(kept_position), 0), count(distinct kept_position),
    coalesce(min(rank), 0), coalesce(max(rank), 0), count(distinct rank), count(rank)
from store.ledger_row
where ledger_id = $ledger_id;
