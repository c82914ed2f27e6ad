-- Pool rows of $source that stand in the files $uris, and whether no other file of the source holds them.
with living as (
    select sample_id, uri in (select unnest($uris)) as mine
    from store.occurrence
    where source = $source and to_seq is null
)
select l.sample_id, bool_and(l.mine) as leaves
from living l
semi join store.pool_row r on r.sample_id = l.sample_id
group by l.sample_id
having bool_or(l.mine)
order by l.sample_id;
