"""The Dagster instance of a home: `$DEITA_HOME/dagster`, made once, used by the CLI, the UI and every run.

What belongs here: creating and opening it, and clearing runs whose process is dead.
What does not: launching runs.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import dagster as dg
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from deita_assets.stores.home import Home
from deita_assets.stores.lock import file_lock

#: Written once into a new home; people may edit it.
DAGSTER_YAML = """\
# The Dagster instance of this home. Made by deita-assets; yours to edit.
telemetry:
  enabled: false
nux:
  enabled: false             # no "join the community" before the first look
concurrency:
  runs:
    max_concurrent_runs: 2   # scoring and embedding use every core already
retention:
  schedule: {purge_after_days: 30}
  sensor: {purge_after_days: {skipped: 1, failure: 30, success: 30}}
"""

_LIVE = [DagsterRunStatus.STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.CANCELING]
PID, STARTED, HOST, BOOT = "deita/pid", "deita/pid_started", "deita/host", "deita/boot"


def open_instance(home: Home) -> DagsterInstance:
    """The instance of a home, created with its `dagster.yaml` on first use.

    Two processes that open a fresh instance together break its database for good, hence the lock.
    """
    home.create()
    with file_lock(home.root / "dagster.lock", "open the Dagster instance"):
        config = home.dagster / "dagster.yaml"
        if not config.exists():
            config.write_text(DAGSTER_YAML, encoding="utf-8")
        os.environ["DAGSTER_HOME"] = str(home.dagster)
        os.environ["DEITA_HOME"] = str(home.root)
        instance = DagsterInstance.get()
        instance.get_run_records(limit=1)
    return instance


def process_tags() -> dict[str, str]:
    """Who runs this: process, host, and boot, so that a dead run can be told from a living one."""
    own = os.getpid()
    return {PID: str(own), STARTED: _start_ticks(own), HOST: socket.gethostname(), BOOT: _boot_id()}


def sign_run(context: dg.AssetExecutionContext) -> None:
    """Tag the current run with this process; runs launched from the UI get their tags here."""
    tags = process_tags()
    if any(context.run.tags.get(name) != value for name, value in tags.items()):
        context.instance.add_run_tags(context.run_id, tags)


def clear_dead_runs(instance: DagsterInstance) -> list[str]:
    """Mark runs as failed whose process no longer lives on this machine; returns their ids."""
    dead = [run for run in instance.get_runs(RunsFilter(statuses=_LIVE)) if _is_dead(run)]
    for run in dead:
        instance.report_run_failed(run, f"process {run.tags[PID]} ended without finishing this run")
    return [run.run_id for run in dead]


def _is_dead(run: DagsterRun) -> bool:
    pid, host, boot = (run.tags.get(tag, "") for tag in (PID, HOST, BOOT))
    if not pid or host != socket.gethostname():
        return False
    return boot != _boot_id() or not _alive(int(pid), run.tags.get(STARTED, ""))


def _alive(pid: int, started: str) -> bool:
    """True when the process of that pid lives and is the same one: pids are used again, in containers at once."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    now = _start_ticks(pid)
    return now != _ENDED and (not started or not now or now == started)


_ENDED = "ended"


def _start_ticks(pid: int) -> str:
    """When a process started, in clock ticks since boot; `ended` for a zombie; empty where /proc has no answer."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return _ENDED if state == "Z" else fields[18]  # fields 3 (state) and 22 (starttime) of proc(5)


def _boot_id() -> str:
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""
