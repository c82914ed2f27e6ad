-- The rows of selection $version in order, without those that were taken down since.
select m.sample_id, c.content_sha256, c.source, m.evol_score
from store.selection_member m
join store.conversation c on c.sample_id = m.sample_id
anti join store.takedown t on t.sample_id = m.sample_id
where m.selection_version = $version
order by m.position;
