-- The first turn of row $sample_id, and its place in ledger $ledger_id.
select
    t.sample_id, t.instruction, t.response, o.uri as file, o.line, r.rank, r.kept_position, r.evol_score
from store.turn t
left join store.ledger_row r on r.ledger_id = $ledger_id and r.sample_id = t.sample_id
left join (
    select uri, line from store.occurrence where sample_id = $sample_id
    order by to_seq desc nulls first, from_seq, uri, line limit 1
) o on true
where t.sample_id = $sample_id and t.turn = 0;
