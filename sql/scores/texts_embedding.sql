-- (key, canonical conversation, '') of the keys in `wanted_now`, out of $source.
select w.key, any_value(c.conversation), ''
from wanted_now w
join store.conversation c on c.content_sha256 = w.key and c.source = $source
group by 1;
