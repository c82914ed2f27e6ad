-- sample_ids of the rows of $sources for which a condition does not hold; {condition} is put in as text.
select sample_id
from pool
left join scored_pool using (sample_id, source, n_turns)
where pool.source in (select unnest($sources))
  and ({condition}
) is not true;
