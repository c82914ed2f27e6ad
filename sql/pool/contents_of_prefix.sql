-- Contents with a row, in the pool now or formerly, whose sample id starts with $prefix, with or without its source.
-- Without a colon it is never the start of a source's name: that would mean whatever single row the source holds.
select distinct content_sha256
from store.conversation
where (contains($prefix, ':') and starts_with(sample_id, $prefix)) or starts_with(content_sha256, $prefix)
order by content_sha256
limit 10;
