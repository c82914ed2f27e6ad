-- Are multi-turn talks favoured? Mean turns of the selected rows over mean turns of the rows they were selected from.
select s.scope, s.budget, round(avg(p.n_turns) filter (where m.sample_id is not null), 3) as selected_turns,
       round(avg(p.n_turns), 3) as pool_turns,
       round(avg(p.n_turns) filter (where m.sample_id is not null) / avg(p.n_turns), 3) as ratio
from selections s
join ledger l on l.ledger_id = s.ledger_id
join pool p on p.sample_id = l.sample_id
left join selected m on m.selection_version = s.selection_version and m.sample_id = l.sample_id
where s.is_head
group by s.scope, s.budget
order by s.scope, s.budget;
