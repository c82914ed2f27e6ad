"""What is being worked on: the asset partitions that runs cover which have not ended, whoever started them.

What belongs here: reading runs and backfills. What does not: ending dead ones (dead_runs).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.execution.backfill import BulkActionsFilter, BulkActionStatus

from deita_assets.defs.automation.jobs import JOB_ASSETS
from deita_assets.defs.automation.run_tags import PARTITION
from deita_assets.defs.automation.staleness import CODE_VERSIONS

_EVERY_ASSET = frozenset(CODE_VERSIONS)
_LIVE = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
_OPEN = [BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING]


@dataclass(frozen=True)
class LiveRuns:
    """Work that has begun, or stands in the queue.

    Attributes:
        runs: (asset, partition) -> id of a run that covers it.
        backfills: asset -> id of an open backfill of it, of whatever partitions.
    """

    runs: Mapping[tuple[str, str | None], str] = field(default_factory=dict)
    backfills: Mapping[str, str] = field(default_factory=dict)

    def covering(self, asset: str, partition: str | None) -> str | None:
        """Who works on `asset[partition]`, in words; None when nobody does."""
        if run_id := self.runs.get((asset, partition)):
            return f"run {run_id[:8]}"
        if backfill := self.backfills.get(asset):
            return f"backfill {backfill}"
        return None

    def __bool__(self) -> bool:
        """Whether anything is going on."""
        return bool(self.runs or self.backfills)


def live_runs(instance: DagsterInstance) -> LiveRuns:
    """What runs and open backfills cover at this moment."""
    runs = {
        (asset, run.tags.get(PARTITION)): run.run_id
        for run in instance.get_runs(RunsFilter(statuses=_LIVE))
        for asset in assets_of(run)
    }
    # Its runs are made one after the other: those to come have no run yet.
    opened = instance.get_backfills(filters=BulkActionsFilter(statuses=_OPEN))
    backfills = {
        key.to_user_string(): backfill.backfill_id
        for backfill in opened
        for key in backfill.asset_selection or ()
    }
    return LiveRuns(runs, backfills)


def assets_of(run: DagsterRun) -> frozenset[str]:
    """Assets that a run makes: those it selects, else all of its job."""
    if run.asset_selection is None:
        return JOB_ASSETS.get(run.job_name, _EVERY_ASSET)
    return frozenset(key.to_user_string() for key in run.asset_selection)
