-- Turns whose text does not seem to be that of their prompts' hashes; control characters are written otherwise here.
select t.sample_id, t.turn, t.instruction, t.response, t.complexity_prompt_sha256, t.quality_prompt_sha256
from store.turn t
where sha256(to_json([t.instruction])::varchar) <> t.complexity_prompt_sha256
   or sha256(to_json([t.instruction, t.response])::varchar) <> t.quality_prompt_sha256
order by t.sample_id, t.turn;
