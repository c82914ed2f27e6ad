-- What could not be read, by source and reason?
select source, reason, count(*) as rows, min(file || ':' || line) as first_at
from quarantine
group by source, reason
order by rows desc, source, reason;
