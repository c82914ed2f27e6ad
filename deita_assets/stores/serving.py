"""`serving.duckdb`: the published read-only copy that people, BI tools and the CLI open while runs write.

What belongs here: publishing the copy, and opening it without power to do harm. What does not: the queries.
"""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from deita_assets.errors import NotFoundError, QueryTimeoutError, StoreError
from deita_assets.stores.home import Home
from deita_assets.stores.lock import DEFAULT_DEADLINE_S, file_lock
from deita_assets.stores.new_folder import sync
from deita_assets.stores.warehouse import connect_when_free

Result = TypeVar("Result")

_READ_ONLY = 0o444
#: Threads of one query: more gain little on files of this size, and a run may be at work beside it.
_MAX_THREADS = 8


def _machine_memory() -> int:
    """Bytes of memory that this process may have: the machine's, or the limit of its control group."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no such group, or "max"
        return min(installed, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return installed


#: Given at connect, not by SET: a second reader in one process shares the first one's locked configuration.
#: Half of the memory, because a run may need the other half; what does not fit is sorted and joined on disk.
_LOCKED: dict[str, Any] = {
    "TimeZone": "UTC",
    "autoinstall_known_extensions": "false",
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "threads": min(_MAX_THREADS, len(os.sched_getaffinity(0))),
    "memory_limit": f"{_machine_memory() // 2 // 2**20}MiB",
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
        if home.serving.exists() and _published_state(home) == _states(home):
            return Published(False, home.serving.stat().st_size)
        with connect_when_free(home.warehouse, "publish serving.duckdb", DEFAULT_DEADLINE_S) as con:
            con.execute("checkpoint")
        for left in home.root.glob(f".{home.serving.name}.new-*"):
            left.unlink(missing_ok=True)
        # A name of its own: the `cp` of a publish that was killed may still be writing to the file of its.
        fresh = home.root / f".{home.serving.name}.new-{uuid.uuid4().hex[:12]}"
        _copy_in_child(home.warehouse, fresh)
        # Clients open files to write unless told otherwise, and would leave a log beside the copy; a later copy would
        # be read together with it.
        fresh.chmod(_READ_ONLY)
        _log_of(home.serving).unlink(missing_ok=True)
        fresh.replace(home.serving)
        sync(home.root)
        home.serving_state.write_text(json.dumps(_states(home)), encoding="utf-8")
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


def run_within(con: duckdb.DuckDBPyConnection, seconds: float, work: Callable[[], Result]) -> Result:
    """What `work` gives, which runs queries on `con` in a thread of its own; 0 seconds for no limit.

    The thread is there for Ctrl-C: DuckDB looks for signals between tasks only, and one task of a large join takes as
    long as it takes, while `interrupt` is heeded after every few thousand rows.

    Raises:
        QueryTimeoutError: it took longer, and was interrupted.
    """
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(work)
        try:
            wait([running], seconds or None)
            if running.done():
                return running.result()
        except BaseException:
            _interrupt(con, running)
            raise
        _interrupt(con, running)
    raise QueryTimeoutError(
        f"the query was stopped after {seconds:g} s.",
        cure="Narrow it, or give it longer with --timeout SECONDS (0 for no limit).",
    )


def _interrupt(con: duckdb.DuckDBPyConnection, running: Future[Any]) -> None:
    """Again and again: an interrupt between two statements is lost on both."""
    while not running.done():
        con.interrupt()
        wait([running], 0.05)


def _copy_in_child(source: Path, target: Path) -> None:
    copied = subprocess.run(
        ["/bin/cp", "--reflink=auto", str(source), str(target)],
        capture_output=True, text=True, check=False,
        restore_signals=False,  # at a limit of file sizes cp then says so, as Python does, instead of being killed
    )  # fmt: skip
    if copied.returncode:
        target.unlink(missing_ok=True)
        said = copied.stderr.strip() or f"cp ended with {copied.returncode}"  # a signal says nothing
        raise StoreError(
            f"publishing serving.duckdb failed: {said}",
            cure="Free disk space; the old copy stays.",
        )
    sync(target)


def _states(home: Home) -> dict[str, list[int]]:
    """What tells that neither the warehouse nor its copy was written to since."""
    return {"warehouse": _state(home.warehouse), "serving": _state(home.serving)}


def _state(path: Path) -> list[int]:
    stat = path.stat()
    log = _log_of(path)
    return [stat.st_size, stat.st_mtime_ns, log.stat().st_mtime_ns if log.exists() else 0]


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def _published_state(home: Home) -> dict[str, list[int]] | None:
    try:
        state: dict[str, list[int]] = json.loads(home.serving_state.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return state
