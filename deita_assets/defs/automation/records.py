"""What was materialised last, of every asset and partition, as the rule of staleness and automation need it.

`StoredRecords` asks for one partition at a time, as a run does. `LatestRecords` asks for all partitions of an asset in
one query and keeps what it has read in this process: an event never changes, and the large ones hold pictures.

What belongs here: reading materialisations. What does not: judging them (staleness, plan).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import dagster as dg
from dagster import AssetKey, DagsterInstance

#: Metadata key under which a materialisation keeps the digest of its inputs.
INPUTS = "deita/inputs"
#: Metadata key under which `raw_pool` keeps the licence of its source.
LICENCE = "licence"
#: Ids in one query; SQLite takes 32,766 variables, and an answer should stay small.
_CHUNK = 200


@dataclass(frozen=True)
class Made:
    """One materialisation, without what only people look at.

    Attributes:
        storage_id: place in the event log; later ones are greater.
        run_id: the run that made it.
        at: seconds since 1970.
        inputs: digest of what it read; None when it recorded none.
        data_version: Dagster's.
        rows: rows of the partition; 0 when it recorded none.
        licence: of `raw_pool`.
        folder: of a subset.
        withheld: rows that `raw_pool` kept though their files had left.
    """

    storage_id: int
    run_id: str
    at: float
    inputs: str | None
    data_version: str | None
    rows: int
    licence: str | None
    folder: str | None
    withheld: int


class Records(Protocol):
    """Where the latest materialisations are looked up."""

    def latest(self, asset: str, partition: str | None) -> Made | None:
        """The latest materialisation of `asset[partition]`; None when there is none."""
        ...


@dataclass(frozen=True)
class StoredRecords:
    """The present state, asked for with one query each."""

    instance: DagsterInstance

    def latest(self, asset: str, partition: str | None) -> Made | None:
        """The latest materialisation of `asset[partition]` at this moment."""
        which = dg.AssetRecordsFilter(
            asset_key=AssetKey(asset), asset_partitions=None if partition is None else [partition]
        )
        records = self.instance.fetch_materializations(which, limit=1).records
        return _made(records[0]) if records else None


#: (root of the instance, storage id) -> what stands there. Holds what is the latest of something, and what was; it is
#: only ever added to, and a full one gives way to a new one, because both sensors read at once.
_read: dict[tuple[str, int], Made] = {}
_MOST_READ = 20_000


class LatestRecords:
    """The state at one moment: each asset is asked for once, all of its partitions together."""

    def __init__(self, instance: DagsterInstance) -> None:
        self._instance = instance
        self._assets: dict[str, Mapping[str, Made]] = {}
        self._whole: dict[str, Made | None] = {}

    def latest(self, asset: str, partition: str | None) -> Made | None:
        """The latest materialisation of `asset[partition]` as of the first question about that asset."""
        if partition is not None:
            return self.of(asset).get(partition)
        if asset not in self._whole:
            self._whole[asset] = StoredRecords(self._instance).latest(asset, None)
        return self._whole[asset]

    def of(self, asset: str) -> Mapping[str, Made]:
        """Partition -> its latest materialisation, of every partition that was ever materialised."""
        if asset not in self._assets:
            self._assets[asset] = self._fetch(asset)
        return self._assets[asset]

    def _fetch(self, asset: str) -> dict[str, Made]:
        ids = self._instance.get_latest_storage_id_by_partition(
            AssetKey(asset), dg.DagsterEventType.ASSET_MATERIALIZATION
        )
        root = self._instance.root_directory
        found = {one: made for one in ids.values() if (made := _read.get((root, one)))}
        unread = [one for one in ids.values() if one not in found]
        read = _with_room(len(unread))
        for made in self._events(asset, unread):
            read[root, made.storage_id] = found[made.storage_id] = made
        return {key: found[one] for key, one in ids.items() if one in found}

    def _events(self, asset: str, ids: list[int]) -> Iterator[Made]:
        for at in range(0, len(ids), _CHUNK):
            which = dg.AssetRecordsFilter(asset_key=AssetKey(asset), storage_ids=ids[at : at + _CHUNK])
            for record in self._instance.fetch_materializations(which, limit=_CHUNK).records:
                if made := _made(record):
                    yield made


def _with_room(more: int) -> dict[tuple[str, int], Made]:
    """What was read, with room for so many more."""
    global _read
    if len(_read) + more > _MOST_READ:
        _read = {}
    return _read


def _made(record: dg.EventLogRecord) -> Made | None:
    event = record.asset_materialization
    if event is None:
        return None
    metadata = {name: value.value for name, value in event.metadata.items() if name in _KEPT}
    return Made(
        storage_id=record.storage_id,
        run_id=record.run_id,
        at=record.timestamp,
        inputs=_text(metadata.get(INPUTS)),
        data_version=(event.tags or {}).get("dagster/data_version"),
        rows=_number(metadata.get(_ROWS)),
        licence=_text(metadata.get(LICENCE)),
        folder=_text(metadata.get("folder")),
        withheld=_number(metadata.get("withheld")),
    )


_ROWS = "dagster/partition_row_count"
_KEPT = {INPUTS, LICENCE, _ROWS, "folder", "withheld"}


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
