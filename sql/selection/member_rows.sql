-- The selected rows of `members_now` with conversation and scores, in selection order.
select
    m.position, m.sample_id, c.source, m.rank, m.evol_score, p.complexity, p.quality, c.n_turns, c.conversation
from members_now m
join store.conversation c on c.sample_id = m.sample_id
left join store.scored_pool p on p.sample_id = m.sample_id
order by m.position;
