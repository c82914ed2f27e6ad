-- (rows, in no file, without a score, without a blocker) of `ledger_link`.
select
    count(*), count(*) filter (where nowhere), count(*) filter (where unscored), count(*) filter (where unblocked)
from ledger_link;
