"""Runs whose process is gone: ended, so that they hold no place in the queue, no slot of a pool, and cover no work.

Dagster's default launcher has no health check: a run whose process was killed stays `STARTED` for ever, and counts
against the limits of the run queue and of the pool `device`, for which every later run would wait.

What belongs here: recognising and clearing them. What does not: launching runs, and telling processes apart
(defs.processes).
"""

import json
import socket
import time

import dagster as dg
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunRecord, RunsFilter

from deita_assets.defs.automation.run_tags import PARENT
from deita_assets.defs.processes import (
    BOOT,
    HOST,
    PID,
    SIGNED,
    process_is_gone,
    process_tags,
    tagged_process_is_gone,
)

INTERVAL_S = 60
#: What a run may be whose process works on it, or is about to; a queued one has none yet and stays.
_LIVE = [
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
#: Seconds without any change after which a run that no process signed is looked at: between its launch and its first
#: asset a process needs a few seconds, more on a busy machine.
_UNSIGNED_S = 20.0
#: The same where nobody knows on which machine a run was launched, so that a pid or a socket that is not here may be
#: elsewhere; and seconds that a run of which no process is known may take to start. One that comes later finds its run
#: ended and does nothing.
_START_S = 180.0
#: Set by the launcher, before it asks a code server to start the run's process.
_CODE_SERVER = "dagster/grpc_info"


@dg.sensor(
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends runs whose process is gone and frees the slots that they held.",
)
def dead_run_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Ends runs whose process is gone, so that they hold no place in the run queue and no slot of a pool."""
    cleared = clear_dead_runs(context.instance)
    return dg.SkipReason(f"cleared {len(cleared)} dead runs" if cleared else "every run has its process")


def clear_dead_runs(instance: DagsterInstance, *, now: float | None = None) -> list[str]:
    """End runs whose process no longer lives on this machine, and free the slots of ended runs.

    A run that was being cancelled becomes a cancelled one, any other a failed one.

    Args:
        instance: whose runs.
        now: seconds since 1970 by which waiting is judged; the present by default.

    Returns:
        The ids of the runs ended.
    """
    cleared = []
    for record in instance.get_run_records(RunsFilter(statuses=_LIVE)):
        run = record.dagster_run
        why = _why_dead(instance, record, time.time() if now is None else now)
        if why is None or not _stands_as(instance, run):
            continue
        if run.status is DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, why)
        else:
            instance.report_run_failed(run, why)
        cleared.append(run.run_id)
    _free_slots(instance)
    return cleared


def _why_dead(instance: DagsterInstance, record: RunRecord, now: float) -> str | None:
    """Why nothing works on a run any more; None when something does, or may."""
    run = record.dagster_run
    if _is_signed(run):
        gone = tagged_process_is_gone(run.tags)
        return f"process {run.tags[PID]} ended without finishing this run" if gone else None
    quiet_s = now - record.update_timestamp.timestamp()
    if quiet_s < (_UNSIGNED_S if _was_requested_here(run) else _START_S):
        return None
    if worker := _noted_worker(instance, run):
        pid, seen_at = worker
        return f"process {pid} ended before this run's first asset" if process_is_gone(pid, seen_at) else None
    if run.status is DagsterRunStatus.STARTED:
        return None
    if _code_server_is_gone(run):
        return "the code server that was to start this run has ended"
    return f"no process took up this run within {_START_S:.0f} s" if quiet_s >= _START_S else None


def _is_signed(run: DagsterRun) -> bool:
    """Whether the process tags of a run are its own, and not copied from the run that it repeats."""
    if PID not in run.tags:
        return False
    if SIGNED in run.tags:
        return run.tags[SIGNED] == run.run_id
    return not {_CODE_SERVER, PARENT} & set(run.tags)


def _was_requested_here(run: DagsterRun) -> bool:
    """Whether automation requested a run on this machine since it booted; the UI tags nothing, and copies tags."""
    here = process_tags()
    return PARENT not in run.tags and all(run.tags.get(name) == here[name] for name in (HOST, BOOT))


def _noted_worker(instance: DagsterInstance, run: DagsterRun) -> tuple[int, float] | None:
    """Pid and time of the latest note of the process that executes a run."""
    for entry in reversed(instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)):
        event = entry.dagster_event
        pid = event.engine_event_data.metadata.get("pid") if event else None
        if pid is not None:
            return int(str(pid.value)), entry.timestamp
    return None


def _code_server_is_gone(run: DagsterRun) -> bool:
    """True when nobody listens any more where the code server of a run did, on this machine."""
    place = json.loads(run.tags.get(_CODE_SERVER, "{}"))
    if place.get("host") not in ("localhost", "127.0.0.1"):
        return False
    path = str(place["socket"]).removeprefix("unix:") if place.get("socket") else None
    family, address = (
        (socket.AF_UNIX, path) if path else (socket.AF_INET, ("127.0.0.1", int(place.get("port") or 0)))
    )
    with socket.socket(family, socket.SOCK_STREAM) as asked:
        asked.settimeout(2)
        try:
            asked.connect(address)
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except OSError:
            return False
    return False


def _stands_as(instance: DagsterInstance, run: DagsterRun) -> bool:
    """Whether a run still has the status that was judged: it may have ended between the two looks."""
    now = instance.get_run_by_id(run.run_id)
    return now is not None and now.status is run.status


def _free_slots(instance: DagsterInstance) -> None:
    """Give back the slots of pools that ended runs hold, or wait for, unless their process lives on."""
    storage = instance.event_log_storage
    if not storage.supports_global_concurrency_limits:
        return
    holders = storage.get_concurrency_run_ids()
    runs = (
        {run.run_id: run for run in instance.get_runs(RunsFilter(run_ids=list(holders)))} if holders else {}
    )
    for run_id in holders:
        run = runs.get(run_id)
        if run is None or (run.is_finished and (not _is_signed(run) or tagged_process_is_gone(run.tags))):
            storage.free_concurrency_slots_for_run(run_id)
