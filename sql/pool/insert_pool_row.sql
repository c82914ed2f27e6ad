-- The rows of $source that are in the pool now, each with its first living occurrence.
insert into store.pool_row
select o.sample_id, o.source, o.own_id, o.uri, o.line, c.batch_id, ''
from (
    select *, row_number() over (partition by sample_id order by from_seq, uri, line) as nth
    from store.occurrence
    where source = $source and to_seq is null
) o
join store.conversation c on c.sample_id = o.sample_id
anti join store.takedown t on t.sample_id = o.sample_id
where o.nth = 1
order by o.sample_id;
