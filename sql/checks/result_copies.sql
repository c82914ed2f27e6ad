-- (stored results, prompts, first prompts with several results) of `checked_result`.
select
    coalesce(sum(copies), 0)::bigint, count(*),
    coalesce((list(key order by key) filter (where copies > 1))[:10], [])
from checked_result;
