"""Upkeep of the LanceDB tables: small fragments are merged, editions that nobody can be reading any more are dropped.

Each commit leaves a fragment and an edition ("version" in Lance's words) whose manifest names every fragment, so that
manifests grow with the square of the commits: 690 commits of 32,000 vectors held 65 MB of them beside 27 MB of data.

Lance drops editions by the age of each one's own commit. But an edition is read until the NEXT one comes: the one that
a compaction replaces may be a month old and still be under a pass that opened it a minute ago. So the age given to
Lance is never less than that of the edition that was current when the time to keep began.

What belongs here: one table at a time. What does not: which tables, and everything outside Lance (engines.compact).
"""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from deita_assets.stores.home import Home
from deita_assets.stores.vectors import unreadable

#: Kept besides, so that neither clock nor calculation takes an edition at the edge: seconds.
SLACK_S = 60.0
#: Compactions that lost to a writer's commit are made again; a run of commits comes every few seconds.
_ATTEMPTS = 5
#: Longer than any table exists. Lance drops what is older than a week when it is given no age.
_EVER = timedelta(days=36_500)


@dataclass(frozen=True)
class TableState:
    """How a table lies on the disk: rows, data fragments, editions, and bytes of all its files."""

    n_rows: int
    n_fragments: int
    n_versions: int
    n_bytes: int


@dataclass(frozen=True)
class Upkeep:
    """One table before and after its upkeep; `after` is None for a look."""

    name: str
    before: TableState
    after: TableState | None


def table_names(home: Home) -> list[str]:
    """Every table of a home, in name order."""
    return sorted(path.stem for path in home.lance.glob("*.lance"))


def look(home: Home, name: str) -> Upkeep:
    """How a table lies, without changing anything."""
    return Upkeep(name, asyncio.run(_look(home, name)), None)


def compact_table(home: Home, name: str, keep: timedelta) -> Upkeep:
    """Merge small fragments of a table, then drop the editions that were replaced longer ago than `keep`.

    Rows, keys and values stay as they are; writers and readers go on meanwhile. The space of the fragments that were
    merged is free only when the edition that names them goes: at an upkeep `keep` later.

    Args:
        home: where the table is.
        name: the table.
        keep: nothing that was current within this time is dropped. With zero only the present edition stays, and
            whoever is reading or writing an older one fails.
    """
    return Upkeep(name, *asyncio.run(_compact(home, name, keep)))


def droppable_age(times: Sequence[float], now: float, keep_s: float) -> float | None:
    """Age in seconds from which Lance may drop editions, or None when all have to stay.

    Args:
        times: when each edition was committed, seconds since the epoch.
        now: the present.
        keep_s: editions that were current at any moment of this many seconds before now have to stay.
    """
    if keep_s <= 0:
        return 0.0
    before = [at for at in times if at <= now - keep_s]
    return now - max(before) + SLACK_S if before else None


async def _open(home: Home, name: str) -> Any:
    import lancedb

    connection = await lancedb.connect_async(str(home.lance), read_consistency_interval=timedelta(0))
    try:
        return await connection.open_table(name)
    except Exception as error:  # what Lance makes of a damaged file is of any class, a panic among them
        raise unreadable(name, error) from error


async def _look(home: Home, name: str) -> TableState:
    return await _state(home, name, await _open(home, name))


async def _compact(home: Home, name: str, keep: timedelta) -> tuple[TableState, TableState]:
    table = await _open(home, name)
    before = await _state(home, name, table)
    await _optimize(table, _EVER)
    times = [version["timestamp"].timestamp() for version in await table.list_versions()]
    age = droppable_age(times, time.time(), keep.total_seconds())
    if age is not None:
        await _optimize(table, timedelta(seconds=age))
    return before, await _state(home, name, table)


async def _optimize(table: Any, older_than: timedelta) -> None:
    for left in reversed(range(_ATTEMPTS)):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", UserWarning
                )  # that an age of zero ends readers; the caller knows
                await table.optimize(cleanup_older_than=older_than)
        except RuntimeError as error:
            if "conflict" not in str(error).lower() or not left:
                raise
        else:
            return


async def _state(home: Home, name: str, table: Any) -> TableState:
    stats = await table.stats()
    versions = await table.list_versions()
    fragments = stats["fragment_stats"]["num_fragments"]
    return TableState(
        int(stats["num_rows"]), int(fragments), len(versions), folder_bytes(home.lance / f"{name}.lance")
    )


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; files that leave meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file():
                total += path.stat().st_size
    return total
