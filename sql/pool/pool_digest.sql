-- Identity of the pool of $source: first 16 hex of sha256 over the sorted content hashes, one per line.
select
    substr(sha256(coalesce(string_agg(c.content_sha256, chr(10) order by c.content_sha256), '')), 1, 16),
    count(*)
from store.pool_row r
join store.conversation c on c.sample_id = r.sample_id
where r.source = $source;
