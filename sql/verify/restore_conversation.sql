-- Texts of `damaged_now` (sample_id) as they stand in the staged Parquet files $files.
update store.conversation as c
set conversation = s.conversation, content_sha256 = s.content_sha256
from read_parquet($files) s
where s.sample_id = c.sample_id and c.sample_id in (select sample_id from damaged_now);
