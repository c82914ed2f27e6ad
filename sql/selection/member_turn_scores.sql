-- Scores of every turn of the rows $ids out of `complexity_now` and `quality_now` (prompt_sha256, score).
select t.sample_id, c.score, q.score
from store.turn t
semi join (select unnest($ids) as sample_id) w on w.sample_id = t.sample_id
left join complexity_now c on c.prompt_sha256 = t.complexity_prompt_sha256
left join quality_now q on q.prompt_sha256 = t.quality_prompt_sha256
order by t.sample_id, t.turn;
