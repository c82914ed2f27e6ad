-- (pool version of the scored pool, complexity scorer, quality scorer, its rows, rows of the pool, mirrored scores) of
-- $source.
select
    (select min(pool_version) from store.scored_pool where source = $source),
    (select min(scorer_complexity) from store.scored_pool where source = $source),
    (select min(scorer_quality) from store.scored_pool where source = $source),
    (select count(*) from store.scored_pool where source = $source),
    (select count(*) from store.pool_row where source = $source),
    (select count(*) from store.scored_turn where source = $source);
