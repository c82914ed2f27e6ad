-- Verdicts out of `ledger_now`, stored in rank order so that prefixes are read in one sweep. $ledger_id.
insert into store.ledger_row
select $ledger_id, sample_id, rank, verdict, reason, evol_score, kept_position, blocked_by, similarity
from ledger_now
order by rank nulls last, sample_id;
