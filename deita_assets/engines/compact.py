"""Upkeep of a home: Lance tables compacted, what killed processes left behind removed, the warehouse checkpointed.

Nothing that a version, a ledger or a running process needs is touched: rows of Lance tables stay as they are, and
whatever may belong to a live process is left alone, which its lock tells.

What belongs here: what is looked after, and in which order. What does not: how Lance does it (stores.lance_upkeep).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from deita_assets.errors import LockTimeoutError
from deita_assets.stores.home import Home
from deita_assets.stores.lance_upkeep import Upkeep, compact_table, folder_bytes, look, table_names
from deita_assets.stores.lock import file_lock
from deita_assets.stores.warehouse import Warehouse, WarehouseSpace

#: Passes hold the edition of a table that they opened; the longest take hours.
KEEP_HOURS = 48.0
#: Below this a pass that began a moment ago could lose what it reads.
LEAST_HOURS = 1.0
_STAGED = re.compile(r"(?P<source>[a-z0-9][a-z0-9_-]{0,63})-[0-9a-f]{12}")


@dataclass(frozen=True)
class Leftover:
    """A file or folder that a killed process left, and its bytes."""

    path: Path
    n_bytes: int


@dataclass(frozen=True)
class HomeUpkeep:
    """What an upkeep found and did; a dry run has no `after` anywhere."""

    tables: list[Upkeep]
    leftovers: list[Leftover]
    warehouse_before: WarehouseSpace | None
    warehouse_after: WarehouseSpace | None


def compact_home(
    warehouse: Warehouse, *, keep_hours: float = KEEP_HOURS, dry_run: bool = False
) -> HomeUpkeep:
    """Look after the stores of a home; a dry run only looks.

    Raises:
        LockTimeoutError: another upkeep is at work, or the warehouse was held too long.
    """
    home = warehouse.home
    with file_lock(home.locks / "compact.lock", "compact", deadline_s=1.0):
        keep = timedelta(hours=keep_hours)
        tables = [look(home, n) if dry_run else compact_table(home, n, keep) for n in table_names(home)]
        leftovers = list(find_leftovers(home, remove=not dry_run))
        before = after = None
        if home.warehouse.exists():
            before = warehouse.space()
            after = None if dry_run else warehouse.checkpoint()
    return HomeUpkeep(tables, leftovers, before, after)


def find_leftovers(home: Home, *, remove: bool = False) -> Iterator[Leftover]:
    """What killed processes left, and is removed if that is wanted; what a live one works on is passed over."""
    for path, lock in _suspects(home):
        try:
            with file_lock(lock, f"remove {path.name}", deadline_s=0.0):
                if not path.exists():
                    continue
                n_bytes = folder_bytes(path) if path.is_dir() else path.stat().st_size
                if remove:
                    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
                yield Leftover(path, n_bytes)
        except LockTimeoutError:  # its process lives
            continue


def _suspects(home: Home) -> Iterator[tuple[Path, Path]]:
    """(path, the lock that whoever is at work on it holds)."""
    for path in sorted(home.subsets.glob("*/*/*/.new-*")):
        budget = path.parent
        scope, kind = budget.parent.name, budget.parent.parent.name
        yield path, home.locks / f"subset-{kind}-{scope}-{budget.name}.lock"
    for path in sorted(home.staging.glob("*")):
        if found := _STAGED.fullmatch(path.name):
            yield path, home.locks / f"ingest-{found['source']}.lock"
    for path in sorted(home.root.glob(f".{home.serving.name}.new-*")):
        yield path, home.warehouse_lock
