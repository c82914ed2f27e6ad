-- Conversations that embeddings must cover in the pool of $source.
select c.content_sha256 as key, max(c.n_chars) as n_chars
from store.conversation c
semi join (select sample_id from store.pool_row where source = $source) r on r.sample_id = c.sample_id
group by 1 order by 1;
