-- What is known of the rows of $sources without reading them, with the place of each conversation in its table.
select c.sample_id, c.content_sha256, c.n_chars, c.n_turns, c.language, s.licence, c.rowid as place
from store.pool_row r
join store.conversation c on c.sample_id = r.sample_id
join store.source s on s.source = r.source
where r.source in (select unnest($sources))
order by place;
