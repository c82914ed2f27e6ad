-- Does the score merely follow length? Correlation of evol_score with characters and turns, by source.
-- $source source = null  one source; all of them when left out
select p.source, count(*) as rows, round(corr(s.evol_score, p.n_chars), 3) as with_chars,
       round(corr(s.evol_score, p.n_turns), 3) as with_turns
from scored_pool s
join pool p on p.sample_id = s.sample_id
where s.evol_score is not null and ($source is null or p.source = $source)
group by p.source
order by p.source;
