-- Turns, of those that begin at row $low and end before row $high, whose text does not seem to be that of their
-- prompts' hashes; control characters are written otherwise here.
select t.sample_id, t.instruction, t.response, t.complexity_prompt_sha256, t.quality_prompt_sha256
from store.turn t
where t.rowid >= $low and t.rowid < $high
    and (
        sha256(to_json([t.instruction])::varchar) <> t.complexity_prompt_sha256
        or sha256(to_json([t.instruction, t.response])::varchar) <> t.quality_prompt_sha256
    )
order by 1;
