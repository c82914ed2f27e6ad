-- For each of $budgets: (budget, rows kept, greatest rank among them, their lowest score, near-duplicates up to that rank)
-- in $ledger_id; budgets that keep nothing are left out.
with reached as (
    select b.budget, count(*) as n_rows, max(r.rank) as reached, min(r.evol_score) as lowest
    from (select unnest($budgets) as budget) b
    join store.ledger_row r on r.ledger_id = $ledger_id and r.kept_position <= b.budget
    group by b.budget
)
select
    reached.budget, n_rows, reached.reached, lowest,
    (
        select count(*) from store.ledger_row d
        where d.ledger_id = $ledger_id and d.verdict = 'near_duplicate' and d.rank <= reached.reached
    )
from reached
order by reached.budget;
