"""Reading the state of a home for the plan: settings, landing, partitions, records, runs and checks; no store opens.

What belongs here: filling `Present`. What does not: judging it (plan).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from time import time

import dagster as dg
from dagster import AssetKey, DagsterInstance

from deita_assets.core.fingerprint import short_digest
from deita_assets.defs.automation.attempts import Outlook, newest_ended, outlook
from deita_assets.defs.automation.landed import Landed
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
    """A state, and what it was read from."""

    present: Present
    records: LatestRecords
    wanted: Wanted


def read_present(
    instance: DagsterInstance,
    home: Home,
    settings: DeitaSettings,
    landed: Mapping[str, Landed],
    *,
    settled: Callable[[str], bool] = lambda source: False,
    afresh: bool = False,
    at: float | None = None,
) -> Read:
    """The state of a home at this moment.

    Args:
        instance: its Dagster instance.
        home: its folders.
        settings: as they are now.
        landed: source -> what stands in landing.
        settled: whether the files of a source have stood still for long enough.
        afresh: forget earlier attempts.
        at: seconds since 1970; the present by default.
    """
    at = time() if at is None else at
    records, live = LatestRecords(instance), live_runs(instance)
    pools = records.of("raw_pool")
    known = Known.of(instance, pools=pools, landed=landed)
    pooled = [name for name in known.sources if name in pools and pools[name].rows > 0]
    now = Staleness(instance, home, settings, lambda: pooled, records)
    chosen = wanted(settings, known, {asset: records.of(asset) for asset in _SUBSETS})
    unpublished, newest = _unpublished(instance, records)

    def digest(assets: Sequence[str], partition: str | None) -> str:
        if partition is None:
            return short_digest([CATALOG, newest])
        return short_digest([[asset, now.inputs(asset, partition)] for asset in assets])

    def is_stale(asset: str, partition: str) -> bool:
        gone = asset in _SUBSETS and now.folder_is_gone(asset, partition)
        return gone or now.is_stale(asset, partition)

    def next_attempt(work: Work) -> Outlook:
        last = newest_ended(instance, work.assets, work.partition, work.inputs)
        if afresh:
            return Outlook(1, after=last.run_id if last else None)
        return outlook(last, work.inputs, at)

    @cache
    def failed_checks(asset: str, partition: str) -> tuple[str, ...]:
        return blocking_failures(instance, asset, partition)

    present = Present(
        at=at,
        sources={
            name: _source(name, pools.get(name), landed.get(name), chosen, settled) for name in known.sources
        },
        mixtures=chosen.mixtures,
        notes=chosen.notes,
        is_stale=is_stale,
        stale_assets=now.stale_source_assets,
        digest=digest,
        covering=live.covering,
        working=bool(live),
        failed_checks=failed_checks,
        outlook=next_attempt,
        unpublished_since=unpublished,
    )
    return Read(present, records, chosen)


def _source(
    name: str, pool: Made | None, landed: Landed | None, chosen: Wanted, settled: Callable[[str], bool]
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
