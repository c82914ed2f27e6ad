-- (status, turns) of the turns in `checked_turn` that have a result.
select r.status, count(*) from checked_turn t join checked_result r on r.key = t.key group by 1 order by 2 desc, 1;
