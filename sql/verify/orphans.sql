-- (table, rows of it that belong to no prompt or content that the store knows, in a pool or not).
with prompt as (
    select 'complexity' as measure, complexity_prompt_sha256 as prompt from store.turn
    union all
    select 'quality', quality_prompt_sha256 from store.turn
)
select 'scores', count(*)
from scores_now n
anti join prompt p on p.prompt = n.prompt_sha256 and p.measure = n.measure
union all
select 'embeddings_' || s.embedder, count(*)
from vectors_now s
anti join store.conversation c on c.content_sha256 = s.content_sha256
group by s.embedder;
