-- Every row of $contents in any source, in the pool or not, with its first instruction and when it was taken down.
select
    c.sample_id, c.source, c.content_sha256, r.sample_id is not null as in_pool, t.taken_at, t.reason,
    coalesce(u.instruction, '') as instruction
from store.conversation c
left join store.pool_row r on r.sample_id = c.sample_id
left join store.takedown t on t.sample_id = c.sample_id
left join store.turn u on u.sample_id = c.sample_id and u.turn = 0
where c.content_sha256 in (select unnest($contents))
order by c.content_sha256, c.source;
