-- What is known of row $sample_id, in the pool or not.
select
    c.sample_id, c.source, c.content_sha256, c.n_turns, c.n_messages, c.n_chars, s.licence,
    p.complexity, p.quality, p.evol_score,
    r.sample_id is not null as in_pool, r.pool_version
from store.conversation c
left join store.source s on s.source = c.source
left join main.pool r on r.sample_id = c.sample_id
left join store.scored_pool p on p.sample_id = c.sample_id
where c.sample_id = $sample_id;
