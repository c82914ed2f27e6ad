-- Which kept rows blocked the most others, and what do they ask?
select l.scope, l.blocked_by as sample_id, count(*) as blocked, any_value(t.instruction)[:100] as instruction
from ledger l
left join turns t on t.sample_id = l.blocked_by and t.turn = 0
where l.verdict = 'near_duplicate'
group by l.scope, l.blocked_by
order by blocked desc, sample_id
limit 20;
