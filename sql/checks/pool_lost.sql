-- (id, true) of rows in $source's files that are neither in its pool nor taken down; (id, false) of rows in its pool
-- that stand in none of its files.
with living as (
    select distinct sample_id from store.occurrence where source = $source and to_seq is null
), pool as (
    select sample_id from store.pool_row where source = $source
)
(
    select l.sample_id, true as lost
    from living l
    anti join pool p on p.sample_id = l.sample_id
    anti join store.takedown t on t.sample_id = l.sample_id
    order by 1 limit 10
)
union all
(
    select p.sample_id, false as lost from pool p anti join living l on l.sample_id = p.sample_id order by 1 limit 10
);
