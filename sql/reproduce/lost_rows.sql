-- (source, rows, one of them) whose conversation is no longer there. base_now(sample_id) stands as store.base.
select split_part(w.sample_id, ':', 1), count(*), min(w.sample_id)
from (select sample_id from store.standing union select sample_id from store.base) w
anti join store.conversation c on c.sample_id = w.sample_id
group by 1 order by 1;
