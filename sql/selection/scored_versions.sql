-- (source, pool_version, complexity scorer, quality scorer) of the scored pools of $sources, empty pools included.
select source, any_value(pool_version), any_value(scorer_complexity), any_value(scorer_quality)
from store.scored_pool
where source in (select unnest($sources))
group by source
union all
select v.source, v.pool_version, c.fingerprint, q.fingerprint
from store.pool_version v
join store.coverage c on c.source = v.source and c.step = 'complexity' and c.pool_version = v.pool_version
join store.coverage q on q.source = v.source and q.step = 'quality' and q.pool_version = v.pool_version
where v.source in (select unnest($sources)) and v.n_rows = 0
  and v.seq = (select max(w.seq) from store.pool_version w where w.source = v.source)
  and v.source not in (select p.source from store.scored_pool p);
