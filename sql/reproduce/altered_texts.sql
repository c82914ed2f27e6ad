-- Rows whose conversation is not the one that its hash, or whose hash is not the one that its id was made of.
select c.sample_id, sha256(c.conversation), c.content_sha256
from store.conversation c
where sha256(c.conversation) <> c.content_sha256
   or c.sample_id <> c.source || ':' || substr(c.content_sha256, 1, 32)
order by c.sample_id;
