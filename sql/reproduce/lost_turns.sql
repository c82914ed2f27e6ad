-- (source, rows, one of them) that have another number of turns than were read.
select c.source, count(*), min(c.sample_id)
from store.conversation c
left join (select sample_id, count(*) as n, count(distinct turn) as n_distinct from store.turn group by 1) t
    on t.sample_id = c.sample_id
where coalesce(t.n, 0) <> c.n_turns or coalesce(t.n_distinct, 0) <> c.n_turns
group by 1 order by 1;
