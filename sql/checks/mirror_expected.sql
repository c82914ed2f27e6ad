-- What the mirror of $source has to hold by `results_complexity` and `results_quality` (prompt_sha256, score, status):
-- one row for each turn of its scored pool and measure that has a result.
create temp table expected_turn as
with turns as (
    select t.sample_id, t.turn, t.complexity_prompt_sha256, t.quality_prompt_sha256
    from store.turn t
    semi join (select sample_id from store.scored_pool where source = $source) r on r.sample_id = t.sample_id
)
select t.sample_id, t.turn, 'complexity' as measure, n.score, n.status
from turns t join results_complexity n on n.prompt_sha256 = t.complexity_prompt_sha256
union all
select t.sample_id, t.turn, 'quality' as measure, n.score, n.status
from turns t join results_quality n on n.prompt_sha256 = t.quality_prompt_sha256;
