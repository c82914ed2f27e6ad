"""Which process works on a run, and whether it still lives.

A run carries tags of its process: pid, when that started, host and boot. What launched a run knows less: the event
log has the pid that began it, and when.

What belongs here: telling processes apart. What does not: what becomes of a run whose process is gone
(defs.automation.dead_runs).
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path

import dagster as dg

PID, STARTED, HOST, BOOT = "deita/pid", "deita/pid_started", "deita/host", "deita/boot"
#: The run whose process wrote these tags. The UI copies tags to a run that it starts again, this one too, so there
#: it names another run.
SIGNED = "deita/signed"
#: Seconds by which the clock may have been set back between the start of a process and the note of its pid.
_CLOCK_S = 2.0
_ENDED = "ended"


def process_tags() -> dict[str, str]:
    """Who runs this: process, host, and boot, so that a dead run can be told from a living one."""
    own = os.getpid()
    return {PID: str(own), STARTED: start_ticks(own), HOST: socket.gethostname(), BOOT: _boot_id()}


def sign_run(context: dg.AssetExecutionContext) -> None:
    """Tag the current run with this process; runs launched from the UI get their tags here."""
    tags = {**process_tags(), SIGNED: context.run_id}
    if any(context.run.tags.get(name) != value for name, value in tags.items()):
        context.instance.add_run_tags(context.run_id, tags)


def tagged_process_is_gone(tags: Mapping[str, str]) -> bool:
    """True when the process of these tags no longer lives; False for a process of another machine."""
    pid, host, boot = (tags.get(tag, "") for tag in (PID, HOST, BOOT))
    if not pid or host != socket.gethostname():
        return False
    if boot != _boot_id() or not lives(int(pid)):
        return True
    started, now = tags.get(STARTED, ""), start_ticks(int(pid))
    return bool(started and now) and now != started


def process_is_gone(pid: int, seen_at: float) -> bool:
    """True when the process that had this pid at `seen_at` (seconds since 1970) no longer lives."""
    if not lives(pid):
        return True
    started = _started_at(pid)
    return started is not None and started > seen_at + _CLOCK_S


def lives(pid: int) -> bool:
    """True when a process has that pid and has not ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return start_ticks(pid) != _ENDED


def start_ticks(pid: int) -> str:
    """When a process started, in clock ticks since boot; `ended` for a zombie; empty where /proc has no answer.

    Pids are used again, in containers at once; a pid and this are not.
    """
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return _ENDED if state == "Z" else fields[18]  # fields 3 (state) and 22 (starttime) of proc(5)


def _started_at(pid: int) -> float | None:
    """When a process started, in seconds since 1970; None where /proc has no answer."""
    ticks = start_ticks(pid)
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return None
    booted = next((int(line.split()[1]) for line in lines if line.startswith("btime ")), None)
    if booted is None or not ticks.isdigit():
        return None
    return booted + int(ticks) / float(os.sysconf("SC_CLK_TCK"))


def _boot_id() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""
