-- Rows that only one of the pool and the scored pool of $source has, or the latter more than once.
select sample_id
from (
    select sample_id, false as scored from store.pool_row where source = $source
    union all
    select sample_id, true as scored from store.scored_pool where source = $source
)
group by sample_id
having count(*) filter (where scored) <> 1 or count(*) filter (where not scored) <> 1
order by 1
limit 10;
