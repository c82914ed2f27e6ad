-- Which turns have no score, and why? Turns and rows by source, measure and status.
-- $source source = null  one source; all of them when left out
-- $status text = null  one status, such as truncated; all but ok when left out
select p.source, s.measure, s.status, count(*) as turns, count(distinct s.sample_id) as rows,
       min(s.sample_id) as for_example
from scores s
join pool p on p.sample_id = s.sample_id
where s.status = $status or ($status is null and s.status <> 'ok')
group by all
having $source is null or p.source = $source
order by p.source, s.measure, turns desc, s.status;
