-- Every row of $ledger_id with its verdict at $budget, in rank order, for the map. Scores are means over turns, NULL
-- where a row was scored anew by other scorers than $complexity and $quality.
select
    l.verdict, c.source,
    left(t.instruction, $most) as instruction, left(t.response, $most) as answer,
    l.rank, l.kept_position, l.evol_score, p.complexity, p.quality, c.n_turns, c.n_chars,
    coalesce(c.language, g.language) as language,
    l.similarity, l.blocked_by, l.reason, l.sample_id, c.content_sha256
from ledger_at($ledger_id, $budget) l
join store.conversation c on c.sample_id = l.sample_id
left join store.scored_pool p
    on p.sample_id = l.sample_id and p.scorer_complexity = $complexity and p.scorer_quality = $quality
left join store.turn t on t.sample_id = l.sample_id and t.turn = 0
left join (select content_sha256, max_by(language, detector) as language from store.language group by all) g
    on g.content_sha256 = c.content_sha256
order by l.rank nulls last, l.sample_id;
