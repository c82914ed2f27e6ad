-- What could not be read, by source and reason?
-- $source source = null  one source; all of them when left out
select source, reason, count(*) as rows, arg_min(file || ':' || line, (file, line)) as first_at
from quarantine
where $source is null or source = $source
group by source, reason
order by rows desc, source, reason;
