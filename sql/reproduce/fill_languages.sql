-- What $detector recognised of the conversations at hand, kept under the name $known_as.
insert or ignore into store.language
select l.content_sha256, $known_as, l.language
from present.store.language l
semi join store.conversation c on c.content_sha256 = l.content_sha256
where l.detector = $detector;
