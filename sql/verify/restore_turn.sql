-- Turns of `damaged_now` (sample_id) as they stand in the staged Parquet files $files.
update store.turn as t
set system = s.system, instruction = s.instruction, response = s.response,
    complexity_prompt_sha256 = s.complexity_prompt_sha256, quality_prompt_sha256 = s.quality_prompt_sha256
from read_parquet($files) s
where s.sample_id = t.sample_id and s.turn = t.turn and t.sample_id in (select sample_id from damaged_now);
