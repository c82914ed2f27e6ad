"""`serving.duckdb`: the published read-only copy that people, BI tools and the CLI open while runs write.

What belongs here: publishing the copy, and opening it without power to do harm. What does not: the queries.
"""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from deita_assets.errors import NotFoundError, StoreError
from deita_assets.stores.home import Home
from deita_assets.stores.lock import file_lock

#: Given at connect, not by SET: a second reader in one process shares the first one's locked configuration.
_LOCKED: dict[str, Any] = {
    "TimeZone": "UTC",
    "autoinstall_known_extensions": "false",
    "enable_external_access": "false",
    "lock_configuration": "true",
}


@dataclass(frozen=True)
class Published:
    """Outcome of a publish: False when the copy was current already."""

    changed: bool
    n_bytes: int


def publish(home: Home) -> Published:
    """Replace `serving.duckdb` by a copy of the warehouse as it is now; a no-op when nothing changed.

    The copy is made by a child process: closing any descriptor of `warehouse.duckdb` in a process that has it open in
    DuckDB drops DuckDB's lock on it, and another writer's committed rows could then be lost.

    Raises:
        NotFoundError: there is no warehouse yet.
        StoreError: the copy failed (disk full); the old copy stays.
    """
    if not home.warehouse.exists():
        raise NotFoundError(
            f"{home.root} holds no warehouse.", cure="Run `deita-assets add SOURCE PATH` first."
        )
    with file_lock(home.warehouse_lock, "publish serving.duckdb"):
        state = _state(home.warehouse)
        if home.serving.exists() and _published_state(home) == state:
            return Published(False, home.serving.stat().st_size)
        with duckdb.connect(str(home.warehouse)) as con:
            con.execute("checkpoint")
        state = _state(home.warehouse)
        for left in home.root.glob(f".{home.serving.name}.new-*"):
            left.unlink(missing_ok=True)
        # A name of its own: the `cp` of a publish that was killed may still be writing to the file of its.
        fresh = home.root / f".{home.serving.name}.new-{uuid.uuid4().hex[:12]}"
        _copy_in_child(home.warehouse, fresh)
        fresh.replace(home.serving)
        _state_file(home).write_text(json.dumps(state), encoding="utf-8")
    return Published(True, home.serving.stat().st_size)


@contextmanager
def open_serving(home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published copy, read-only, with no way to reach files, extensions or the network.

    Raises:
        NotFoundError: nothing was published yet.
    """
    if not home.serving.exists():
        raise NotFoundError(
            f"{home.root} has no serving.duckdb yet.",
            cure="Run `deita-assets add SOURCE PATH` or `curate` first.",
        )
    con = duckdb.connect(str(home.serving), read_only=True, config=_LOCKED)
    try:
        yield con
    finally:
        con.close()


def _copy_in_child(source: Path, target: Path) -> None:
    copied = subprocess.run(
        ["/bin/cp", "--reflink=auto", str(source), str(target)], capture_output=True, text=True, check=False
    )
    if copied.returncode:
        target.unlink(missing_ok=True)
        raise StoreError(
            f"publishing serving.duckdb failed: {copied.stderr.strip()}",
            cure="Free disk space; the old copy stays.",
        )
    handle = os.open(target, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _state(path: Path) -> list[int]:
    stat = path.stat()
    wal = path.with_name(path.name + ".wal")
    return [stat.st_size, stat.st_mtime_ns, wal.stat().st_mtime_ns if wal.exists() else 0]


def _state_file(home: Home) -> Path:
    return home.root / ".serving-state.json"


def _published_state(home: Home) -> list[int] | None:
    try:
        state: list[int] = json.loads(_state_file(home).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state
