-- What changed from selection a to selection b, with a reason for every row that only one of them has: what the other
-- one's pool and ledger say of it, at the other one's budget. A ledger whose rows were let go leaves the reason NULL
-- where pools and budgets do not tell.
--   removed: out_of_scope, withdrawn, taken_down, excluded, contaminated, unscored, invalid, over_quota, near_duplicate,
--            rescored, beyond_budget, out_ranked
--   added:   new_source, new_row, unblocked, let_in, rescored, beyond_budget, moved_up
-- beyond_budget: its place in the one is behind the budget of the other, so that the budget alone keeps it out.
-- blocked_by: the row that blocks it in b, or blocked it in a.
-- (`case`, not `if`: 2.0 stores the latter as a function, which 1.5 clients lack.)
create or replace macro main.selection_diff(a, b) as table
with both_members as (
    select
        coalesce(x.sample_id, y.sample_id) as sample_id, x.position as position_a, y.position as position_b,
        coalesce(x.evol_score, y.evol_score) as evol_score
    from (from store.selection_member m where m.selection_version = a) x
    full outer join (from store.selection_member m where m.selection_version = b) y on y.sample_id = x.sample_id
), made as materialized (
    select
        s.selection_version, s.ledger_id, s.budget,
        s.spec ->> '$.selector.name' in ('repr_filter', 'score_only') as by_score,
        l.pruned_at is null as is_whole,
        (select max(m.rank) from store.selection_member m
         where m.selection_version = s.selection_version and m.position = s.budget) as last_rank
    from store.selection s
    left join store.ledger l on l.ledger_id = s.ledger_id
    where s.selection_version in (a, b)
), lacking as (
    -- Rows that only one version has, beside the version that has them not.
    select
        k.sample_id, k.evol_score, o.selection_version, o.ledger_id, o.last_rank, o.by_score, o.is_whole,
        o.ledger_id = h.ledger_id as is_same_ledger, coalesce(k.position_a, k.position_b) > o.budget as is_behind
    from both_members k
    join made o on o.selection_version = case when k.position_b is null then b else a end
    join made h on h.selection_version = case when k.position_b is null then a else b end
    where k.position_a is null or k.position_b is null
), pin as materialized (
    from store.selection_pin p where p.depth = 0 and p.selection_version in (a, b)
), pooled as (
    select
        k.sample_id, p.source is not null as in_scope,
        bool_or(o.from_seq <= p.seq and (o.to_seq is null or o.to_seq > p.seq)) as has_place,
        bool_or(coalesce(t.from_seq, 0) <= p.seq) filter (where t.sample_id is not null) as is_taken_down
    from lacking k
    left join pin p on p.selection_version = k.selection_version and p.source = split_part(k.sample_id, ':', 1)
    left join store.occurrence o on o.sample_id = k.sample_id
    left join store.takedown t on t.sample_id = k.sample_id
    group by all
), told as (
    select
        k.*, p.in_scope, coalesce(p.has_place, true) as has_place, coalesce(p.is_taken_down, false) as is_taken_down,
        w.sample_id is not null as has_verdict, w.blocked_by, w.evol_score as other_score,
        case when w.verdict in ('kept', 'unvisited') then 'beyond'
             when w.verdict in ('near_duplicate', 'over_quota') and w.rank > k.last_rank then 'beyond'
             else w.verdict end as verdict
    from lacking k
    join pooled p on p.sample_id = k.sample_id
    left join (
        from store.ledger_row r semi join made on made.ledger_id = r.ledger_id
    ) w on w.ledger_id = k.ledger_id and w.sample_id = k.sample_id
)
select
    m.sample_id,
    case when m.position_a is null then 'added' when m.position_b is null then 'removed'
         when m.position_a <> m.position_b then 'moved' else 'unchanged' end as change,
    case
        when w.sample_id is null then null
        when not w.in_scope then case when m.position_b is null then 'out_of_scope' else 'new_source' end
        when not w.has_verdict and (w.is_whole or not w.has_place or w.is_taken_down) then
            case when m.position_a is null then 'new_row'
                 when w.has_place and w.is_taken_down then 'taken_down' else 'withdrawn' end
        when not w.has_verdict then case when w.is_same_ledger then 'beyond_budget' end
        when w.verdict <> 'beyond' and m.position_b is null then w.verdict
        when w.verdict = 'near_duplicate' then 'unblocked'
        when w.verdict <> 'beyond' then 'let_in'
        when w.is_behind then 'beyond_budget'
        when w.by_score and w.other_score is distinct from w.evol_score then 'rescored'
        when m.position_b is null then 'out_ranked'
        else 'moved_up'
    end as reason,
    m.position_a, m.position_b,
    case when w.verdict <> 'beyond' then w.blocked_by end as blocked_by
from both_members m
left join told w on w.sample_id = m.sample_id;
