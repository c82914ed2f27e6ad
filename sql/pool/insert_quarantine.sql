-- Every row that could not be read, from this ingest on. $files: staged Parquet files; $seq, $batch_id.
insert into store.quarantine
select source, uri, file_sha256, line, reason, detail, raw_prefix, $batch_id, $seq, null
from read_parquet($files);
