"""A curation: the in-process runs that bring a scope up to date, in journey order, skipping what is current.

The CLI uses it; the runs are ordinary Dagster runs of the same assets on the same instance, tied by a tag.

What belongs here: which runs, in which order. What does not: what an asset does.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import dagster as dg
from dagster import AssetKey, DagsterInstance

from deita_assets.defs.automation.staleness import SOURCE_ASSETS, Staleness
from deita_assets.defs.check_records import blocking_failures, results_were_lost
from deita_assets.defs.interrupts import interruptible
from deita_assets.defs.metadata import NOTES, TRIAL
from deita_assets.defs.platform import Platform
from deita_assets.defs.processes import process_tags
from deita_assets.defs.steps import staleness
from deita_assets.errors import DeitaError
from deita_assets.partitions import subset_key

CURATE_ID = "deita/curate_id"
#: Ledgers by asset: which kind of scope they are of.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Ran:
    """One run of a curation, or one step that was current."""

    partition: str
    assets: tuple[str, ...]
    seconds: float
    skipped: bool = False
    note: str = ""


class RunFailedError(DeitaError):
    """A Dagster run of a curation failed."""


class Curation:
    """Runs assets of one home in this process."""

    def __init__(
        self,
        definitions: dg.Definitions,
        instance: DagsterInstance,
        platform: Platform,
        on_run: Callable[[Ran], None] = lambda ran: None,
        on_start: Callable[[str, Sequence[str]], None] = lambda partition, assets: None,
    ) -> None:
        self._job = definitions.resolve_implicit_global_asset_job_def()
        self._instance = instance
        self._platform = platform
        self._on_run = on_run
        self._on_start = on_start
        self.curate_id = uuid.uuid4().hex[:12]

    @property
    def stale(self) -> Staleness:
        """The staleness rule over the present state."""
        return staleness(self._instance, self._platform)

    def register(self, dimension: str, names: Sequence[str]) -> None:
        """Add partitions that do not exist yet."""
        known = set(self._instance.get_dynamic_partitions(dimension))
        if new := [name for name in names if name not in known]:
            self._instance.add_dynamic_partitions(dimension, new)

    def source(
        self, source: str, assets: tuple[str, ...] = SOURCE_ASSETS, config: dict[str, Any] | None = None
    ) -> None:
        """Bring assets of one source up to date."""
        config = config or {}
        again = self._refused("raw_pool", source) or "raw_pool" in config
        if assets[0] == "raw_pool" and (again or self.stale.is_stale("raw_pool", source)):
            self._run(
                source, ["raw_pool"], config
            )  # its pool often turns out the same, and the rest is current then
        rest = assets[1:] if assets[0] == "raw_pool" else assets
        if rest:
            stale = self.stale.stale_source_assets(source, rest)
            refused = [at for at, asset in enumerate(rest) if self._has_to_run(asset, source)]
            if refused:  # what comes after was made of it, whatever its data version says
                stale = [asset for asset in rest if asset in {*stale, *rest[refused[0] :]}]
            self._run_or_skip(source, stale, rest, config)

    def again(self, source: str, assets: Sequence[str]) -> None:
        """Run assets of one source although they are current: what they had made is gone from the stores."""
        self.register("source", [source])
        self._run(source, assets)

    def pooled(self, mixture: str, budget: int) -> None:
        """Bring the ledger of a mixture up to date, deep enough for `budget` when it is made anew."""
        again = self.stale.is_stale("pooled_ledger", mixture) or self._has_to_run("pooled_ledger", mixture)
        stale = ["pooled_ledger"] if again else []
        self._run_or_skip(mixture, stale, ("pooled_ledger",), {"pooled_ledger": {"budget": budget}})

    def subset(self, scope_kind: str, scope: str, budget: int) -> None:
        """Bring one subset up to date."""
        asset = "selected_subset" if scope_kind == "source" else "pooled_subset"
        key = subset_key(scope_kind, scope, budget)
        now = self.stale
        again = now.is_stale(asset, str(key)) or now.folder_is_gone(asset, str(key))
        stale = [asset] if again or self._refused(asset, str(key)) else []
        self._run_or_skip(key, stale, (asset,))

    def trial(self, scope_kind: str, scope: str, config: dict[str, Any]) -> dict[str, Any]:
        """Run a ledger with run config; returns what its observation tells."""
        asset = "selection_ledger" if scope_kind == "source" else "pooled_ledger"
        self._run(scope, [asset], {asset: config}, checks=False)
        records = self._instance.fetch_observations(
            dg.AssetRecordsFilter(asset_key=AssetKey(asset), asset_partitions=[scope]), limit=1
        ).records
        observation = records[0].event_log_entry.asset_observation
        assert observation is not None  # noqa: S101 - fetched as one
        shown: dict[str, Any] = observation.metadata[TRIAL].value  # type: ignore[assignment]
        return shown

    def calibration(self, scope_kind: str, scope: str, rows: int) -> str:
        """Calibrate a scope over its best `rows` rows; returns the id of the result."""
        asset = "threshold_calibration" if scope_kind == "source" else "pooled_calibration"
        self._run(scope, [asset], {asset: {"rows": rows}})
        return str(self.stale.data_version(asset, scope))

    def serving(self) -> None:
        """Publish the serving copy."""
        self._run(None, ["serving_catalog"])

    def _refused(self, asset: str, partition: str) -> bool:
        """True when a blocking check of the partition failed last: it is run again, and starts by mending."""
        return bool(blocking_failures(self._instance, asset, partition))

    def _has_to_run(self, asset: str, partition: str) -> bool:
        """True when an asset that is current by its inputs is not so in the stores: refused, or lost."""
        return self._refused(asset, partition) or results_were_lost(self._instance, asset, partition)

    def _run_or_skip(
        self,
        partition: str,
        stale: Sequence[str],
        wanted: Sequence[str],
        config: dict[str, Any] | None = None,
    ) -> None:
        if stale:
            self._run(partition, stale, config)
        else:
            self._on_run(Ran(str(partition), tuple(wanted), 0.0, skipped=True))

    def _run(
        self,
        partition: str | None,
        assets: Sequence[str],
        config: dict[str, Any] | None = None,
        *,
        checks: bool = True,
    ) -> None:
        began = monotonic()
        self._on_start(str(partition or ""), assets)
        ops = {
            "ops": {asset: {"config": values} for asset, values in (config or {}).items() if asset in assets}
        }
        keys = [AssetKey(asset) for asset in assets]
        # A run of selected assets runs their checks too; one that gives no materialisation would leave them skipped,
        # in the place of what they last found.
        job = (
            self._job
            if checks
            else self._job.get_subset(asset_selection=set(keys), asset_check_selection=set())
        )
        with interruptible(self._instance, {CURATE_ID: self.curate_id}):
            result = job.execute_in_process(
                instance=self._instance,
                partition_key=partition,
                asset_selection=keys if checks else None,
                run_config={**_QUIET, **ops},
                tags={CURATE_ID: self.curate_id, **process_tags()},
                raise_on_error=False,
            )
        if not result.success:
            raise _failure(result, assets, partition)
        self._on_run(Ran(str(partition or ""), tuple(assets), monotonic() - began, note=_note(result)))


def _note(result: dg.ExecuteInProcessResult) -> str:
    """What the passes of a run had to say."""
    told = [
        str(event.materialization.metadata[NOTES].value)
        for event in result.all_events
        if event.is_step_materialization and NOTES in event.materialization.metadata
    ]
    return "; ".join(told)


def _failure(result: dg.ExecuteInProcessResult, assets: Sequence[str], partition: str | None) -> DeitaError:
    for event in result.all_events:
        data = event.event_specific_data if event.is_step_failure else None
        if data is None:
            continue
        failure = data.user_failure_data  # type: ignore[union-attr]
        message = str(failure.description) if failure else _root_message(data.error)  # type: ignore[union-attr]
        log = f"Run {result.run_id[:8]} has the whole log (deita-assets dev)."
        cure = str(failure.metadata["cure"].value) if failure and "cure" in failure.metadata else ""
        return RunFailedError(
            f"{event.step_key}[{partition}]: {message.removesuffix(cure).rstrip()}",
            cure=f"{cure} {log}".strip(),
        )
    return RunFailedError(
        f"{', '.join(assets)}[{partition}] failed.", cure=f"See run {result.run_id[:8]} in the UI."
    )


def _root_message(error: Any) -> str:
    while error is not None and error.cause is not None:
        error = error.cause
    return str(error.message).strip() if error else "no message"
