-- Turns of conversations that the store does not hold yet. $files: staged Parquet files.
insert into store.turn
select sample_id, turn, system, instruction, response, complexity_prompt_sha256, quality_prompt_sha256
from read_parquet($files) s
anti join store.turn t on t.sample_id = s.sample_id;
