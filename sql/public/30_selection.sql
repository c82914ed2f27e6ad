-- The ledgers that are heads: one row per pool row and scope, with its verdict.
create or replace view main.ledger as
select
    l.scope_kind, l.scope, l.ledger_id, r.sample_id, r.rank, r.verdict, r.reason,
    r.evol_score, r.kept_position, r.blocked_by, r.similarity, l.threshold,
    split_part(r.sample_id, ':', 1) as source
from store.ledger_head h
join store.ledger l on l.ledger_id = h.ledger_id
join store.ledger_row r on r.ledger_id = l.ledger_id;

create or replace view main.selections as
select
    s.selection_version, s.scope_kind, s.scope, s.budget, s.n_rows, s.ledger_id, s.members_sha256,
    (h.selection_version is not null) as is_head, s.trial, s.created_at, s.directory, s.run_id
from store.selection s
left join store.selection_head h on h.selection_version = s.selection_version;

create or replace view main.selected as
select
    m.selection_version, m.position, m.sample_id, m.rank, m.evol_score,
    s.scope_kind, s.scope, s.budget, c.source, c.conversation as conversations
from store.selection_member m
join store.selection s on s.selection_version = m.selection_version
join store.conversation c on c.sample_id = m.sample_id;

-- Verdicts of any ledger as they stand at one budget: what comes after the budget-th kept row is beyond_budget.
-- (Whether a row comes after it is told by its position if it was kept, else by its rank.)
create or replace macro main.ledger_at(ledger_id, budget) as table
select
    r.sample_id, r.rank,
    case
        when r.kept_position > budget then 'beyond_budget'
        when r.verdict in ('near_duplicate', 'over_quota') and r.rank > cut.last_rank then 'beyond_budget'
        when r.verdict = 'unvisited' and cut.last_rank is not null then 'beyond_budget'
        else r.verdict
    end as verdict,
    r.reason, r.evol_score, r.kept_position, r.blocked_by, r.similarity,
    split_part(r.sample_id, ':', 1) as source
from store.ledger_row r
cross join (
    select max(k.rank) filter (where k.kept_position = budget) as last_rank
    from store.ledger_row k where k.ledger_id = ledger_id
) cut
where r.ledger_id = ledger_id;
