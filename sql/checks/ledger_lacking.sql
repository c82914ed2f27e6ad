-- Rows in the pools of $sources, where these are at $versions still, that ledger $ledger_id has no verdict for.
select r.sample_id
from store.pool_row r
join (select unnest($sources) as source, unnest($versions) as pool_version) w
    on w.source = r.source and w.pool_version = r.pool_version
anti join (select sample_id from store.ledger_row where ledger_id = $ledger_id) l on l.sample_id = r.sample_id
order by 1
limit 10;
