-- (turns, without a result, out of range, unwarranted) over `checked_turn` and `checked_result`.
select
    count(*), count(*) filter (where r.key is null),
    count(*) filter (where r.out_of_range), count(*) filter (where r.unwarranted)
from checked_turn t
left join checked_result r on r.key = t.key;
