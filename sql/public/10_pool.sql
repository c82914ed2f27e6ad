-- Rows in the pool now, with where each first came from.
create or replace view main.pool as
select
    r.sample_id, r.source, r.own_id,
    c.n_turns, c.n_messages, c.n_chars, c.language,
    s.licence, c.has_system, c.has_tools,
    c.conversation as conversations,          -- canonical JSON
    r.uri as file, r.line, r.batch_id, r.pool_version
from store.pool_row r
join store.conversation c on c.sample_id = r.sample_id
join store.source s on s.source = r.source;

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
