-- (content_sha256, language) of the contents in `wanted_now` that $detector has seen.
select l.content_sha256, l.language
from store.language l
semi join wanted_now w on w.content_sha256 = l.content_sha256
where l.detector = $detector;
