-- From which pool version of its source a row that was taken down is out; past versions keep it.
alter table store.takedown add column from_seq bigint;
