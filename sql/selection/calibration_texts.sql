-- (sample_id, conversation) of the rows $ids; rows that were taken down since are missing.
select sample_id, conversation from store.conversation where sample_id in (select unnest($ids));
