-- The newest calibration of $scope_kind $scope over the same pool versions $sources and embedder $embedder.
select c.result
from store.calibration c
where c.scope_kind = $scope_kind and c.scope = $scope
  and (c.spec -> '$.ledger.sources')::varchar = $sources
  and (c.spec ->> '$.ledger.fingerprints.embedder') = $embedder
order by c.created_at desc, c.calibration_id
limit 1;
