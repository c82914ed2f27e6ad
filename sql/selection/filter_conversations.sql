-- (sample_id, canonical conversation) of the rows in `wanted_now` that stand at places $first to $last.
select c.sample_id, c.conversation
from store.conversation c
semi join wanted_now w on w.sample_id = c.sample_id
where c.rowid between $first and $last;
