"""What asset checks last found, out of the Dagster instance: names of blocking checks, and which of them failed.

Read by automation and by `curate`, in the code server too, so nothing here opens a store of the home.

What belongs here: names, and reading records. What does not: any check (defs/*/checks.py) or rule (core.checks).
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg
from dagster import AssetCheckKey, AssetCheckSeverity, AssetKey, DagsterInstance
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.storage.asset_check_execution_record import (
    COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES,
    AssetCheckExecutionRecord,
)

UNIQUE_KEYS = "unique_keys"
ROW_ACCOUNTING = "row_accounting"
FINITE_SCORES = "finite_scores"
UNIT_NORMS = "unit_norms"
STORES_AGREE = "stores_agree"
EVOL_SCORES = "evol_scores"
LINEAGE_COMPLETE = "lineage_complete"
FILES_INTACT = "files_intact"
#: Checks that say which results a pool lacks, by asset.
MISSING = {
    "complexity_scores": "missing_pairs",
    "quality_scores": "missing_pairs",
    "embeddings": "missing_vectors",
}

#: Checks that stop what is downstream of their asset when they fail with severity ERROR.
BLOCKING: dict[str, tuple[str, ...]] = {
    "raw_pool": (UNIQUE_KEYS, ROW_ACCOUNTING),
    "complexity_scores": (UNIQUE_KEYS, FINITE_SCORES),
    "quality_scores": (UNIQUE_KEYS, FINITE_SCORES),
    "embeddings": (UNIQUE_KEYS, UNIT_NORMS),
    "scored_pool": (STORES_AGREE, EVOL_SCORES),
    "selection_ledger": (ROW_ACCOUNTING, LINEAGE_COMPLETE),
    "pooled_ledger": (ROW_ACCOUNTING, LINEAGE_COMPLETE),
    "selected_subset": (LINEAGE_COMPLETE, FILES_INTACT),
    "pooled_subset": (LINEAGE_COMPLETE, FILES_INTACT),
    "serving_catalog": (STORES_AGREE,),
}


def blocking_failures(instance: DagsterInstance, asset: str, partition: str | None) -> tuple[str, ...]:
    """Names of the blocking checks of `asset[partition]` whose latest finding is a failure of severity ERROR.

    A check that never ran does not count, nor does one that a run has planned but not made: what it found before
    stands until then.

    Args:
        instance: the home's Dagster instance.
        asset: name of an asset; one without blocking checks has no failures.
        partition: key of the asset's partition; None for an asset that has none.

    Returns:
        Names in the order of `BLOCKING`; empty when nothing stands in the way.
    """
    keys = [AssetCheckKey(AssetKey(asset), name) for name in BLOCKING.get(asset, ())]
    found = _latest_findings(instance, keys, partition)
    return tuple(key.name for key in keys if (record := found.get(key)) and _stops(record))


def results_were_lost(instance: DagsterInstance, asset: str, partition: str) -> bool:
    """True when results of `asset[partition]` were found missing in a later run than the one that made it.

    What is missing in that run itself, the model cannot give, and running it again would not help.
    """
    if asset not in MISSING:
        return False
    key = AssetCheckKey(AssetKey(asset), MISSING[asset])
    record = _latest_findings(instance, [key], partition).get(key)
    evaluation = record.evaluation if record else None
    if record is None or not isinstance(evaluation, dg.AssetCheckEvaluation) or evaluation.passed:
        return False
    made = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=AssetKey(asset), asset_partitions=[partition]), limit=1
    ).records
    return not made or made[0].run_id != record.run_id


def _latest_findings(
    instance: DagsterInstance, keys: Sequence[AssetCheckKey], partition: str | None
) -> dict[AssetCheckKey, AssetCheckExecutionRecord]:
    """The latest evaluation of each check; one query, and one more for each that a run has planned."""
    storage, only = instance.event_log_storage, PartitionKeyFilter(key=partition)
    found = dict(storage.get_latest_asset_check_execution_by_key(keys, partition_filter=only))
    for key, record in list(found.items()):
        if record.status in COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES:
            continue
        made = storage.get_asset_check_execution_history(
            key, limit=1, status=COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES, partition_filter=only
        )
        if made:
            found[key] = made[0]
        else:
            del found[key]
    return found


def _stops(record: AssetCheckExecutionRecord) -> bool:
    evaluation = record.evaluation
    return (
        isinstance(evaluation, dg.AssetCheckEvaluation)
        and not evaluation.passed
        and evaluation.severity == AssetCheckSeverity.ERROR
    )
