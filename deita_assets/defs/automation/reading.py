"""Reading the state of a home for the plan: settings, landing, partitions, records, runs and checks; no store opens.

What belongs here: filling `Present`. What does not: judging it (plan).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import time

import dagster as dg
from dagster import AssetKey, DagsterInstance

from deita_assets.core.fingerprint import short_digest
from deita_assets.defs.automation.attempts import Outlook, newest_ended, outlook
from deita_assets.defs.automation.landed import Landing, SourceFolder
from deita_assets.defs.automation.live_runs import live_runs
from deita_assets.defs.automation.plan import CATALOG
from deita_assets.defs.automation.present import Present, Source, Work
from deita_assets.defs.automation.records import LatestRecords, Made
from deita_assets.defs.automation.staleness import SOURCE_ASSETS, Staleness
from deita_assets.defs.automation.wanted import Known, Wanted, wanted
from deita_assets.defs.check_records import blocking_failures
from deita_assets.settings import DeitaSettings
from deita_assets.stores.home import Home

#: Assets whose rows the catalog shows.
_PUBLISHED = (*SOURCE_ASSETS, "pooled_ledger", "selected_subset", "pooled_subset")
_LEDGERS = ("selection_ledger", "pooled_ledger")
_SUBSETS = ("selected_subset", "pooled_subset")


@dataclass(frozen=True)
class Read:
    """A state, and the records that it was read from."""

    present: Present
    records: LatestRecords


def read_present(
    instance: DagsterInstance,
    home: Home,
    settings: DeitaSettings,
    landing: Landing,
    *,
    settled: Callable[[str], bool] = lambda source: False,
    at: float | None = None,
) -> Read:
    """The state of a home at this moment.

    Args:
        instance: its Dagster instance.
        home: its folders.
        settings: as they are now.
        landing: what stands there.
        settled: whether the files of a source have stood still for long enough.
        at: seconds since 1970; the present by default.
    """
    records, live = LatestRecords(instance), live_runs(instance)
    pools, landed = records.of("raw_pool"), landing.sources
    known = Known.of(instance, pools=pools, landed=landed)
    pooled = [name for name in known.sources if name in pools and pools[name].rows > 0]
    chosen = wanted(settings, known, {asset: records.of(asset) for asset in _SUBSETS})
    unpublished, newest = _unpublished(instance, records)
    asked = _Asked(
        instance,
        Staleness(instance, home, settings, lambda: pooled, records),
        time() if at is None else at,
        newest,
    )
    present = Present(
        at=asked.at,
        sources={
            name: _source(name, pools.get(name), landed.get(name), chosen, settled) for name in known.sources
        },
        mixtures=chosen.mixtures,
        notes=[*((odd.place, f"{odd.why} {odd.cure}") for odd in landing.passed_over), *chosen.notes],
        is_stale=asked.is_stale,
        stale_assets=asked.staleness.stale_source_assets,
        digest=asked.digest,
        covering=live.covering,
        working=bool(live),
        failed_checks=asked.failed_checks,
        outlook=asked.outlook,
        unpublished_since=unpublished,
    )
    return Read(present, records)


@dataclass(frozen=True)
class _Asked:
    """What the plan asks one by one, answered when it does.

    Attributes:
        instance: the Dagster instance.
        staleness: the rule, over the records of this moment.
        at: this moment, in seconds since 1970.
        newest: place in the event log of the newest thing that the catalog shows.
    """

    instance: DagsterInstance
    staleness: Staleness
    at: float
    newest: int
    _failed: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict, init=False)

    def is_stale(self, asset: str, partition: str) -> bool:
        """Whether it has to be made, or made again: a published folder may be gone."""
        gone = asset in _SUBSETS and self.staleness.folder_is_gone(asset, partition)
        return gone or self.staleness.is_stale(asset, partition)

    def digest(self, assets: Sequence[str], partition: str | None) -> str:
        """Digest of what they would read now; the catalog reads everything that is published."""
        if partition is None:
            return short_digest([CATALOG, self.newest])
        return short_digest([[asset, self.staleness.inputs(asset, partition)] for asset in assets])

    def outlook(self, work: Work) -> Outlook:
        """What earlier attempts mean for the next one."""
        last = newest_ended(self.instance, work.assets, work.partition, work.inputs)
        return outlook(last, work.inputs, self.at)

    def failed_checks(self, asset: str, partition: str) -> tuple[str, ...]:
        """Blocking checks that failed there; asked of the instance once."""
        if (asset, partition) not in self._failed:
            self._failed[asset, partition] = blocking_failures(self.instance, asset, partition)
        return self._failed[asset, partition]


def _source(
    name: str, pool: Made | None, landed: SourceFolder | None, chosen: Wanted, settled: Callable[[str], bool]
) -> Source:
    return Source(
        name=name,
        rows=pool.rows if pool else None,
        landed=pool is not None or (landed is not None and landed.waits),
        settled=settled(name),
        trouble=f"{landed.trouble} {landed.cure}" if landed and landed.trouble else None,
        scored=name in chosen.scored,
        embedded=name in chosen.embedded,
        budgets=chosen.source_budgets.get(name, ()),
        avoids=chosen.avoids.get(name, ()),
    )


def _unpublished(instance: DagsterInstance, records: LatestRecords) -> tuple[float | None, int]:
    """(when the first thing was materialised that the catalog lacks, place of the newest in the event log)."""
    made = [one for asset in _PUBLISHED for one in records.of(asset).values()]
    last = records.latest(CATALOG, None)
    trials = [at for asset in _LEDGERS for at in _observed(instance, asset)]
    newest = max([*(one.storage_id for one in made), *trials], default=0)
    since = _begun(instance, last) if last else 0
    missing = [one.at for one in made if one.storage_id > since]
    if not missing and any(place > since for place in trials):
        missing = [time()]
    return (min(missing) if missing else None), newest


def _observed(instance: DagsterInstance, asset: str) -> Iterable[int]:
    """Places in the event log of the latest observations, which trials leave behind."""
    return instance.get_latest_storage_id_by_partition(
        AssetKey(asset), dg.DagsterEventType.ASSET_OBSERVATION
    ).values()


#: Storage id of a catalog's materialisation -> place in the event log where its run was planned.
_planned: dict[tuple[str, int], int] = {}


def _begun(instance: DagsterInstance, catalog: Made) -> int:
    """Place in the event log at which the run of a catalog was planned: what came later, it may lack."""
    key = (instance.root_directory, catalog.storage_id)
    if key not in _planned:
        which = dg.EventRecordsFilter(
            event_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED, asset_key=AssetKey(CATALOG)
        )
        found = [
            record.storage_id
            for record in instance.event_log_storage.get_event_records(which, limit=20)
            if record.run_id == catalog.run_id
        ]
        _planned[key] = min(found, default=catalog.storage_id)
    return _planned[key]
