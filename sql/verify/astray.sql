-- (what, id) of rows that name a conversation which the store does not hold.
select 'occurrence' as what, o.sample_id from (select distinct sample_id from store.occurrence) o
anti join store.conversation c on c.sample_id = o.sample_id
union all
select 'pool row', r.sample_id from (select distinct sample_id from store.pool_row) r
anti join store.conversation c on c.sample_id = r.sample_id
union all
select 'ledger row', r.sample_id from (select distinct sample_id from store.ledger_row) r
anti join store.conversation c on c.sample_id = r.sample_id
union all
select 'selection member', m.sample_id from (select distinct sample_id from store.selection_member) m
anti join store.conversation c on c.sample_id = m.sample_id
order by 1, 2;
