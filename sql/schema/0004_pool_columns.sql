-- What `pool` shows of a conversation that is in the pool now, kept beside the conversation itself: joining 300,000
-- rows of `pool_row` by id took 70 ms of a question that takes 3. Derived from `pool_row`, by `pool/mark_conversation`.
alter table store.conversation add column in_pool boolean default false;
alter table store.conversation add column own_id varchar;
alter table store.conversation add column uri varchar;
alter table store.conversation add column line bigint;

update store.conversation as c
set in_pool = true, own_id = r.own_id, uri = r.uri, line = r.line
from store.pool_row r where r.sample_id = c.sample_id;
