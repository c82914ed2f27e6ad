-- (prompt, content_sha256, canonical conversation) of conversations in $source that are one question and one answer, for
-- the quality prompts in `wanted_now`: their text may be what the scorer reads, and then one pass serves both.
select w.key, c.content_sha256, any_value(c.conversation)
from wanted_now w
join store.turn t on t.quality_prompt_sha256 = w.key
join store.conversation c on c.sample_id = t.sample_id
where c.source = $source and c.n_turns = 1 and c.n_messages = 2
group by all;
