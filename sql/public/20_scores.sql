-- One score per turn and measure under the scorer that last covered the row's source; NaN-free: NULL when unscored.
create or replace view main.scores as
select t.sample_id, t.turn, t.measure, t.scorer, t.score, t.status
from store.scored_turn t;

-- complexity and quality are means over turns, for reading; evol_score is the configured aggregate of products.
create or replace view main.scored_pool as
select
    p.sample_id, p.source, p.n_turns, p.complexity, p.quality, p.evol_score,
    p.scorer_complexity, p.scorer_quality, e.embedder
from store.scored_pool p
left join (
    select source, any_value(fingerprint) as embedder
    from store.coverage where step = 'embedding' group by source
) e on e.source = p.source;
