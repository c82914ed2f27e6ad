-- Scores of the rows of $ledger_id that have a rank, in order of it.
select evol_score from store.ledger_row where ledger_id = $ledger_id and rank is not null order by rank;
