-- (class of the error, failed attempts) at $step of $source under $fingerprint, or before it was known.
select split_part(error, ':', 1), count(*)
from store.scoring_attempt
where source = $source and step = $step and (fingerprint = $fingerprint or fingerprint is null)
group by 1 order by 1;
