-- (key, instruction, '') of the keys in `wanted_now`, out of $source.
select w.key, any_value(t.instruction), ''
from wanted_now w
join store.turn t on t.complexity_prompt_sha256 = w.key
where starts_with(t.sample_id, $source || ':')
group by 1;
