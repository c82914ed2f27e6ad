-- (verdict, rows) of ledger $ledger_id.
select verdict, count(*) from store.ledger_row where ledger_id = $ledger_id group by 1 order by 2 desc, 1;
