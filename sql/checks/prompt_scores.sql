-- (score, characters) of each different prompt in `checked_turn` that has a score, in a fixed order.
select r.score, max(t.n_chars)::bigint as n_chars
from checked_result r
join checked_turn t on t.key = r.key
where r.score is not null
group by r.key, r.score
order by r.key;
