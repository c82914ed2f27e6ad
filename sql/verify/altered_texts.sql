-- Conversations, of those that begin at row $low and end before row $high, that are not of their hash, or whose id is
-- not of it.
select c.sample_id
from store.conversation c
where c.rowid >= $low and c.rowid < $high
    and (
        sha256(c.conversation) <> c.content_sha256
        or c.sample_id <> c.source || ':' || substr(c.content_sha256, 1, 32)
    )
order by 1;
