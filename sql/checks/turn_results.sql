-- Results out of `results_now` (prompt_sha256, score, status) for the prompts of `checked_turn`, doubled ones as one.
-- $scored are the statuses that have a score. NaN is greater than any number here, so it is not within 1 and 6.
create temp table checked_result as
select
    n.prompt_sha256 as key, count(*) as copies, min(n.status) as status, max(n.score) as score,
    bool_or(list_contains($scored, n.status) and not coalesce(n.score between 1 and 6, false)) as out_of_range,
    bool_or(not list_contains($scored, n.status) and n.score is not null) as unwarranted
from results_now n
semi join checked_turn t on t.key = n.prompt_sha256
group by n.prompt_sha256;
