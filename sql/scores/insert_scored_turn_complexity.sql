-- Mirror of the complexity scores of $source out of `results_now` (prompt_sha256, score, status); $scorer.
insert into store.scored_turn
select $source, t.sample_id, t.turn, 'complexity', $scorer, n.score, n.status
from store.turn t
semi join (select sample_id from store.pool_row where source = $source) r on r.sample_id = t.sample_id
join results_now n on n.prompt_sha256 = t.complexity_prompt_sha256
order by t.sample_id, t.turn;
