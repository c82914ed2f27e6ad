-- Ledgers of a scope whose rows may go: not a head, under no current selection, and older than the newest $keep.
-- $scope_kind, $scope. $besides is kept in any case.
select ledger_id
from (
    select ledger_id, row_number() over (order by created_at desc, ledger_id) as age
    from store.ledger
    where scope_kind = $scope_kind and scope = $scope and pruned_at is null
)
where age > $keep and ledger_id <> $besides
  and ledger_id not in (select ledger_id from store.ledger_head)
  and ledger_id not in (
      select s.ledger_id
      from store.selection s
      join store.selection_head h on h.selection_version = s.selection_version
  );
