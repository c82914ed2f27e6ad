-- Ids of the pool of $source that stand there more than once, share their content, or have no single conversation.
select r.sample_id
from store.pool_row r
left join store.conversation c on c.sample_id = r.sample_id
where r.source = $source
qualify count(*) over (partition by r.sample_id) <> 1 or count(*) over (partition by c.content_sha256) <> 1
    or c.content_sha256 is null
order by 1
limit 10;
