-- Rows in the pool now, with where each first came from.
-- The small tables are grouped by their keys so that DuckDB sees each match once at most: it then leaves a join out of
-- any question that asks for none of its columns.
create or replace view main.pool as
select
    c.sample_id, c.source, c.own_id,
    c.n_turns, c.n_messages, c.n_chars, c.language,
    s.licence, c.has_system, c.has_tools,
    c.conversation as conversations,          -- canonical JSON
    c.uri as file, c.line, c.batch_id, v.pool_version
from store.conversation c
left join (select source, any_value(licence) as licence from store.source group by source) s
    on s.source = c.source
left join (select source, max_by(pool_version, seq) as pool_version from store.pool_version group by source) v
    on v.source = c.source
where c.in_pool;

-- (user, assistant) pairs of the rows in the pool, numbered from 0.
create or replace view main.turns as
select
    t.sample_id, t.turn, t.system, t.instruction, t.response,
    length(t.instruction) as n_chars_instruction,
    length(t.response) as n_chars_response
from store.turn t
semi join store.pool_row r on r.sample_id = t.sample_id;

-- Rows that could not be read, while the file they stand in is in landing.
create or replace view main.quarantine as
select q.source, q.uri as file, q.line, q.reason, q.detail, q.raw_prefix, q.file_sha256, q.batch_id
from store.quarantine q
where q.to_seq is null;
