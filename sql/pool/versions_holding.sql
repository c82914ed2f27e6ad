-- Selection versions that hold rows out of `rows_now(sample_id)`: current ones first, then the newest.
select
    s.selection_version, s.scope_kind, s.scope, s.budget, any_value(h.selection_version) is not null as is_head,
    any_value(s.trial) as trial, any_value(s.directory) as directory, count(*) as n_rows,
    list(m.sample_id order by m.position) as sample_ids
from store.selection_member m
semi join rows_now r on r.sample_id = m.sample_id
join store.selection s on s.selection_version = m.selection_version
left join store.selection_head h on h.selection_version = s.selection_version
group by s.selection_version, s.scope_kind, s.scope, s.budget, s.created_at
order by is_head desc, s.created_at desc, s.selection_version;
