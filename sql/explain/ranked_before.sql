-- The rows of ledger $ledger_id up to rank $rank, in rank order.
select r.sample_id, c.content_sha256, c.source, r.evol_score, coalesce(r.reason = $frozen, false) as is_frozen,
    r.kept_position is not null as is_kept
from store.ledger_row r
join store.conversation c on c.sample_id = r.sample_id
where r.ledger_id = $ledger_id and r.rank <= $rank
order by r.rank;
