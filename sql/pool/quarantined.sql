-- (reason, rows, examples) of the rows of $source that are in quarantine, most rows first; $examples of each at most.
select
    reason, count(*) as n_rows,
    list({'file': uri, 'line': line} order by uri, line)[:$examples] as examples
from store.quarantine
where source = $source and to_seq is null
group by reason
order by n_rows desc, reason;
