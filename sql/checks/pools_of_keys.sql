-- Sources whose pool has a row with one of `keys_now` (key) as its content or as the prompt of one of its turns.
with concerned as (
    select c.sample_id from store.conversation c semi join keys_now k on k.key = c.content_sha256
    union
    select t.sample_id from store.turn t semi join keys_now k on k.key = t.complexity_prompt_sha256
    union
    select t.sample_id from store.turn t semi join keys_now k on k.key = t.quality_prompt_sha256
)
select distinct r.source from store.pool_row r semi join concerned n on n.sample_id = r.sample_id order by 1;
