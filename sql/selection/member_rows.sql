-- The selected rows of `members_now` with conversation and scores, in selection order.
-- $complexity, $quality: the scorers that decided the selection; scores are NULL where others scored the row since.
select
    m.position, m.sample_id, c.source, m.rank, m.evol_score, p.complexity, p.quality, c.n_turns, c.conversation
from members_now m
join store.conversation c on c.sample_id = m.sample_id
left join store.scored_pool p
    on p.sample_id = m.sample_id and p.scorer_complexity = $complexity and p.scorer_quality = $quality
order by m.position;
