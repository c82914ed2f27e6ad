-- What kept rows out of the pass, by source and reason (numbers and quoted texts left away)?
select l.scope, split_part(l.sample_id, ':', 1) as source, l.verdict,
       regexp_replace(l.reason, '(: ).*', '') as reason, count(*) as rows
from ledger l
where l.verdict in ('excluded', 'contaminated', 'unscored', 'invalid')
group by all
order by l.scope, rows desc, source, reason;
