-- The ledgers that are heads: one row per pool row and scope, with its verdict.
create or replace view main.ledger as
select
    l.scope_kind, l.scope, l.ledger_id, r.sample_id, r.rank, r.verdict, r.reason,
    r.evol_score, r.kept_position, r.blocked_by, r.similarity, l.threshold
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

-- From a selected row back to the file, line and run it came from: one row per occurrence.
-- Pool version and scorers are those of the selection's spec, whatever the source was scored by since.
create or replace view main.lineage as
select
    m.selection_version, m.position, m.sample_id, c.source, o.uri as file, o.file_sha256, o.line, o.own_id,
    c.batch_id,
    list_filter(from_json(s.spec -> '$.sources', '[["VARCHAR"]]'), lambda x: x[1] = c.source)[1][2] as pool_version,
    s.spec ->> '$.fingerprints.complexity' as scorer_complexity,
    s.spec ->> '$.fingerprints.quality' as scorer_quality,
    s.ledger_id, r.rank, r.kept_position,
    s.run_id, s.created_at
from store.selection_member m
join store.selection s on s.selection_version = m.selection_version
join store.conversation c on c.sample_id = m.sample_id
join store.occurrence o on o.sample_id = m.sample_id
left join store.ledger_row r on r.ledger_id = s.ledger_id and r.sample_id = m.sample_id;

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
    r.reason, r.evol_score, r.kept_position, r.blocked_by, r.similarity
from store.ledger_row r
cross join (
    select max(k.rank) filter (where k.kept_position = budget) as last_rank
    from store.ledger_row k where k.ledger_id = ledger_id
) cut
where r.ledger_id = ledger_id;

-- What changed from selection a to selection b, with the reason that b's ledger gives for a row that left.
create or replace macro main.selection_diff(a, b) as table
with before as (
    select m.sample_id, m.position from store.selection_member m where m.selection_version = a
), after as (
    select m.sample_id, m.position from store.selection_member m where m.selection_version = b
), why as (
    select r.sample_id, r.verdict, r.blocked_by
    from store.ledger_row r
    join store.selection s on s.ledger_id = r.ledger_id
    where s.selection_version = b
)
select
    coalesce(x.sample_id, y.sample_id) as sample_id,
    case when x.sample_id is null then 'added' when y.sample_id is null then 'removed'
         when x.position <> y.position then 'moved' else 'unchanged' end as change,
    case when y.sample_id is not null then null
         when w.sample_id is null and not exists (from why) then null  -- the rows of b's ledger were let go
         when w.sample_id is null then 'withdrawn'
         when w.verdict in ('kept', 'unvisited') then 'out_ranked' else w.verdict end as reason,
    x.position as position_a, y.position as position_b,
    case when y.sample_id is null then w.blocked_by end as blocked_by
from before x
full outer join after y on y.sample_id = x.sample_id
left join why w on w.sample_id = coalesce(x.sample_id, y.sample_id);
