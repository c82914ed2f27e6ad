-- (id, source, file, its sha256, line) of the first place where each of `damaged_now` (sample_id) was read from, those
-- that stand in landing now first.
select d.sample_id, o.source, o.uri, o.file_sha256, o.line
from damaged_now d
left join store.occurrence o on o.sample_id = d.sample_id
qualify row_number() over (partition by d.sample_id order by o.to_seq is not null, o.uri, o.line) = 1
order by 1;
