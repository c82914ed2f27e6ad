-- The first $limit rows of each kind of change from selection $a to selection $b, beside what blocks them.
select
    d.sample_id, d.change, d.reason, d.position_a, d.position_b, d.blocked_by,
    t.instruction, u.instruction as blocked_by_instruction
from main.selection_diff($a, $b) d
left join store.turn t on t.sample_id = d.sample_id and t.turn = 0
left join store.turn u on u.sample_id = d.blocked_by and u.turn = 0
where d.change <> 'unchanged'
qualify row_number() over (
    partition by d.change, d.reason order by coalesce(d.position_b, d.position_a), d.sample_id
) <= $limit
order by d.change, d.reason nulls last, coalesce(d.position_b, d.position_a), d.sample_id;
