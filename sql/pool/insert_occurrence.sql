-- Every place where a row was read, from this ingest on. $files: staged Parquet files; $seq.
insert into store.occurrence
select source, uri, file_sha256, line, sample_id, own_id, $seq, null
from read_parquet($files);
