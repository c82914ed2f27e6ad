-- (fault, sample id) of the first rows with a turn that is lacking, out of range or unwarranted.
select fault, sample_id
from (
    select distinct
        case when r.key is null then 'lacking' when r.out_of_range then 'out_of_range' else 'unwarranted' end as fault,
        t.sample_id
    from checked_turn t
    left join checked_result r on r.key = t.key
    where r.key is null or r.out_of_range or r.unwarranted
)
qualify row_number() over (partition by fault order by sample_id) <= 10
order by fault, sample_id;
