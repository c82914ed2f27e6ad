-- Do complexity and quality say the same? Their correlation over turns, and how often one is high and the other low.
-- $source source = null  one source; all of them when left out
-- $high number = 4  a score from which on a turn counts as high
-- $low number = 2  a score up to which a turn counts as low
select p.source, count(*) as turns, round(corr(c.score, q.score), 3) as correlation,
       count(*) filter (where c.score >= $high and q.score <= $low) as complex_and_poor,
       count(*) filter (where c.score <= $low and q.score >= $high) as plain_and_good
from scores c
join scores q on q.sample_id = c.sample_id and q.turn = c.turn and q.measure = 'quality'
join pool p on p.sample_id = c.sample_id
where c.measure = 'complexity' and c.score is not null and q.score is not null
  and ($source is null or p.source = $source)
group by p.source
order by p.source;
