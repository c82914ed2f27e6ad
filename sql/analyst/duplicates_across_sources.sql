-- Which conversations stand in more than one source?
-- $rows count = 50  how many to show
select split_part(sample_id, ':', 2) as content, list(source order by source) as sources, count(*) as times
from pool
group by content
having count(*) > 1
order by times desc, content
limit $rows;
