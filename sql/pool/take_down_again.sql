-- Rows of $source whose content was taken down in another source, now that they come here: out from $seq on.
insert into store.takedown
select c.sample_id, first(t.reason order by t.taken_at), now(), $seq
from store.takedown t
join store.conversation taken on taken.sample_id = t.sample_id
join store.conversation c on c.content_sha256 = taken.content_sha256
anti join store.takedown known on known.sample_id = c.sample_id
where c.source = $source
group by c.sample_id;
