"""Locks between processes: `flock`, which the kernel frees when its holder dies, however it dies.

What belongs here: waiting for a lock and naming who holds it. What does not: what the lock protects.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from deita_assets.errors import LockTimeoutError

#: Long enough for another ingest's transaction or a publish (seconds), short enough to notice a real fault.
DEFAULT_DEADLINE_S = 120.0


@contextmanager
def file_lock(
    path: Path, purpose: str, *, shared: bool = False, deadline_s: float = DEFAULT_DEADLINE_S
) -> Iterator[None]:
    """Hold the lock file at `path` for the length of the `with` block.

    Args:
        path: the lock file; made when missing, never removed (removing it would split the lock in two).
        purpose: what for, in words; shown to whoever waits.
        shared: many shared holders at once, or one exclusive holder.
        deadline_s: seconds to wait before giving up.

    Raises:
        LockTimeoutError: naming the holder's pid and purpose.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as handle:
        _wait(handle, path, purpose, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, deadline_s)
        _sign(handle, None if shared else purpose)
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)


def _wait(handle: IO[str], path: Path, purpose: str, mode: int, deadline_s: float) -> None:
    deadline = time.monotonic() + deadline_s
    while True:
        try:
            fcntl.flock(handle, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise LockTimeoutError(
                    f"{purpose}: {path.name} was still held after {deadline_s:.0f} s by {_holder(handle)}.",
                    cure="Wait for that process, or end it; published rows stay readable in serving.duckdb.",
                ) from None
            time.sleep(0.02 + random.random() * 0.03)  # noqa: S311 - jitter, not a secret
        else:
            return


def _sign(handle: IO[str], purpose: str | None) -> None:
    """Name the exclusive holder; a shared one (None) takes away the name that an earlier holder left behind."""
    handle.seek(0)
    handle.truncate()
    if purpose is not None:
        handle.write(json.dumps({"pid": os.getpid(), "purpose": purpose}))
        handle.flush()


def _holder(handle: IO[str]) -> str:
    handle.seek(0)
    try:
        holder = json.loads(handle.read())
    except ValueError:
        return "a reader"
    return f"pid {holder['pid']} ({holder['purpose']})"
