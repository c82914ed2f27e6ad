-- Every row of the scored pools of $sources, in a fixed order.
select p.sample_id, p.content_sha256, p.source, p.turn_products, p.unscored_reason
from store.scored_pool p
where p.source in (select unnest($sources))
order by p.source, p.sample_id;
