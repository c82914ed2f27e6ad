"""`dev` ends when its code server was killed, and only then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from deita_assets.cli import dev_watch

_SERVER = b"python\0-m\0dagster\0api\0grpc\0--socket\0/tmp/s\0"
DEV = 4711


@pytest.mark.parametrize(
    ("looks", "ended_at"),
    [
        ("xxx......", 6),
        ("xxxxxxxxxxx", None),
        ("xx..xx..xx", None),
        ("xx..x.....", 8),
        (".........", None),
    ],
    ids=["killed", "alive", "replaced twice", "replaced, then killed", "not there yet"],
)
def test_dev_ends_three_looks_after_its_code_server(
    monkeypatch: pytest.MonkeyPatch, looks: str, ended_at: int | None
) -> None:
    """One look a second: `x` where there is a code server; after the last look dev ends by itself."""
    told: list[tuple[int, int]] = []
    seen: Iterator[str] = iter(looks)
    at = [-1]

    def parent() -> int:
        at[0] += 1
        return DEV if at[0] < len(looks) else 1

    monkeypatch.setattr(os, "getppid", parent)
    monkeypatch.setattr(os, "kill", lambda pid, number: told.append((pid, number)))
    monkeypatch.setattr(
        dev_watch, "_descendants", lambda pid: [b"sh", _SERVER] if next(seen) == "x" else [b"sh"]
    )
    monkeypatch.setattr(dev_watch.time, "sleep", lambda seconds: None)
    monkeypatch.setattr(dev_watch.time, "monotonic", lambda: 100.0 + at[0])
    assert dev_watch.watch(DEV, every_s=1, grace_s=3) is (ended_at is not None)
    assert told == ([(DEV, signal.SIGTERM)] if ended_at is not None else [])
    assert at[0] == (len(looks) if ended_at is None else ended_at)


def test_processes_below_another_are_found_with_their_command_lines() -> None:
    inner = "import time; print(flush=True); time.sleep(60)"
    outer = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}, 'dagster', 'api', 'grpc'])"
    )
    process = subprocess.Popen([sys.executable, "-c", outer], stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        below = dev_watch._descendants(os.getpid())
        assert any(b"\0dagster\0api\0grpc\0" in command for command in below)
        assert not any(b"\0dagster\0api\0grpc\0" in command for command in dev_watch._descendants(2**22))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
