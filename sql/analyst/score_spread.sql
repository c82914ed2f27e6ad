-- How are the scores of each source spread?
-- $source source = null  one source; all of them when left out
select p.source, count(s.evol_score) as scored, min(s.evol_score) as lowest,
       round(quantile_cont(s.evol_score, 0.1), 4) as p10, round(quantile_cont(s.evol_score, 0.5), 4) as median,
       round(quantile_cont(s.evol_score, 0.9), 4) as p90, max(s.evol_score) as highest,
       round(median(s.complexity), 4) as median_complexity, round(median(s.quality), 4) as median_quality
from pool p
left join scored_pool s on s.sample_id = p.sample_id
where $source is null or p.source = $source
group by p.source
order by median desc nulls last, p.source;
