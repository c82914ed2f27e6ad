-- (rows, ids, contents, stored conversations) of the pool of $source.
select
    count(*), count(distinct r.sample_id), count(distinct c.content_sha256),
    (
        select count(*) from store.conversation d
        where d.source = $source and d.sample_id in (select p.sample_id from store.pool_row p where p.source = $source)
    )
from store.pool_row r
left join (
    select sample_id, any_value(content_sha256) as content_sha256
    from store.conversation where source = $source group by sample_id
) c on c.sample_id = r.sample_id
where r.source = $source;
