-- Conversations that the store does not hold yet. $files: staged Parquet files; $batch_id.
insert into store.conversation by name
select
    sample_id, source, content_sha256, conversation, n_turns, n_messages, n_chars,
    has_system, has_tools, language, $batch_id as batch_id
from read_parquet($files) s
anti join store.conversation c on c.sample_id = s.sample_id;
