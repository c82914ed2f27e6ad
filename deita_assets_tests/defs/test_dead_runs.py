"""Runs whose process is gone are ended and give back what they held; every other run is left alone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.events import EngineEventData
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from deita_assets.defs.automation.dead_runs import clear_dead_runs, dead_run_sensor
from deita_assets.defs.automation.plan import Request
from deita_assets.defs.automation.present import Work
from deita_assets.defs.automation.requests import run_request
from deita_assets.defs.processes import BOOT, HOST, PID, SIGNED, STARTED, process_is_gone, process_tags

#: What automation tags its requests with.
HERE = {name: process_tags()[name] for name in (HOST, BOOT)}
LATER_S = 100.0
MUCH_LATER_S = 1000.0
#: What the launcher notes of a code server whose socket is gone.
NO_SERVER = {"dagster/grpc_info": json.dumps({"host": "localhost", "socket": "/nowhere/at/all"})}


#: Where a launched run comes from; Dagster asks it of queued ones.
_ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "repository"), "idle_job"
)


@dg.op
def nothing() -> None: ...


@dg.job
def idle_job() -> None:
    nothing()


@pytest.fixture(scope="module")
def shared() -> Iterator[DagsterInstance]:
    with dg.instance_for_test(overrides={"concurrency": {"pools": {"default_limit": 1}}}) as made:
        yield made


@pytest.fixture
def instance(shared: DagsterInstance) -> DagsterInstance:
    shared.wipe()
    return shared


@pytest.fixture(scope="module")
def ended() -> dict[str, str]:
    """Tags of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return {**process_tags(), PID: str(process.pid)}


def _run(
    instance: DagsterInstance, status: DagsterRunStatus, tags: dict[str, str], *, signed: bool = False
) -> DagsterRun:
    run = instance.create_run_for_job(idle_job, status=status, tags=tags, remote_job_origin=_ORIGIN)
    if signed:
        instance.add_run_tags(run.run_id, {SIGNED: run.run_id})
    return run


def _note(instance: DagsterInstance, run: DagsterRun, pid: int) -> None:
    """What the code server notes as it starts the process of a run."""
    instance.report_engine_event("Started process for run", run, EngineEventData.in_process(pid))


def _status(instance: DagsterInstance, run: DagsterRun) -> DagsterRunStatus:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


@pytest.mark.parametrize(
    ("change", "is_dead"),
    [
        ({}, False),
        ({PID: "ended"}, True),
        ({STARTED: "1"}, True),
        ({BOOT: "another boot"}, True),
        ({HOST: "another-machine", PID: "ended"}, False),
    ],
    ids=["own process", "ended process", "its pid used again", "before the last boot", "another machine"],
)
def test_a_run_is_dead_with_the_process_that_it_names(
    instance: DagsterInstance, ended: dict[str, str], change: dict[str, str], is_dead: bool
) -> None:
    tags = {**process_tags(), **change}
    if tags[PID] == "ended":
        tags[PID] = ended[PID]
    run = _run(instance, DagsterRunStatus.STARTED, tags)
    assert clear_dead_runs(instance, now=time.time() + MUCH_LATER_S) == ([run.run_id] if is_dead else [])
    assert _status(instance, run) == (DagsterRunStatus.FAILURE if is_dead else DagsterRunStatus.STARTED)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (DagsterRunStatus.NOT_STARTED, DagsterRunStatus.FAILURE),
        (DagsterRunStatus.STARTING, DagsterRunStatus.FAILURE),
        (DagsterRunStatus.STARTED, DagsterRunStatus.FAILURE),
        (DagsterRunStatus.CANCELING, DagsterRunStatus.CANCELED),
        (DagsterRunStatus.QUEUED, DagsterRunStatus.QUEUED),
        (DagsterRunStatus.SUCCESS, DagsterRunStatus.SUCCESS),
    ],
    ids=lambda status: status.value,
)
def test_what_becomes_of_a_run_without_a_process(
    instance: DagsterInstance, ended: dict[str, str], before: DagsterRunStatus, after: DagsterRunStatus
) -> None:
    run = _run(instance, before, ended)
    clear_dead_runs(instance)
    assert _status(instance, run) is after
    assert clear_dead_runs(instance) == []


def test_tags_that_the_ui_copied_from_the_run_it_repeats_say_nothing(
    instance: DagsterInstance, ended: dict[str, str]
) -> None:
    first = _run(instance, DagsterRunStatus.FAILURE, ended, signed=True)
    copied = {**ended, SIGNED: first.run_id, "dagster/parent_run_id": first.run_id}
    unsigned = {**ended, "dagster/parent_run_id": first.run_id}
    for tags in (copied, unsigned):
        again = _run(instance, DagsterRunStatus.STARTED, tags)
        assert clear_dead_runs(instance, now=time.time() + LATER_S) == []
        instance.add_run_tags(again.run_id, {**ended, SIGNED: again.run_id})
        assert clear_dead_runs(instance) == [again.run_id]


@contextmanager
def _listening(folder: Path) -> Iterator[dict[str, str]]:
    path = folder / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()
        yield {"dagster/grpc_info": json.dumps({"host": "localhost", "socket": str(path)})}


@pytest.mark.parametrize("status", [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING])
def test_a_run_that_nothing_took_up_is_given_time(
    instance: DagsterInstance, tmp_path: Path, status: DagsterRunStatus
) -> None:
    now = time.time()
    with _listening(tmp_path) as server:
        waiting = _run(instance, status, {**HERE, **server})
        abandoned = _run(instance, status, {**HERE, **NO_SERVER})
        created = _run(instance, status, HERE)
        assert clear_dead_runs(instance, now=now + 5) == []
        assert clear_dead_runs(instance, now=now + LATER_S) == [abandoned.run_id]
        assert set(clear_dead_runs(instance, now=now + MUCH_LATER_S)) == {waiting.run_id, created.run_id}


@pytest.mark.parametrize("status", [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED])
def test_a_launched_run_that_signed_nothing_goes_by_the_process_in_its_log(
    instance: DagsterInstance, ended: dict[str, str], status: DagsterRunStatus
) -> None:
    noted = {}
    for name, pid in (("dead", int(ended[PID])), ("alive", os.getpid())):
        noted[name] = _run(instance, status, {**HERE, **NO_SERVER})
        _note(instance, noted[name], pid)
    _run(instance, DagsterRunStatus.STARTED, {**HERE, **NO_SERVER})  # nobody knows its process
    assert clear_dead_runs(instance) == [], "they may be about to sign"
    assert clear_dead_runs(instance, now=time.time() + LATER_S) == [noted["dead"].run_id]


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {**HERE, HOST: "another-machine"},
        {**HERE, BOOT: "another boot"},
        {**HERE, "dagster/parent_run_id": "copied by the UI"},
    ],
    ids=["by hand", "requested elsewhere", "requested before the last boot", "started again"],
)
@pytest.mark.parametrize("status", [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED])
def test_a_run_that_may_have_been_launched_elsewhere_is_given_time_to_sign(
    instance: DagsterInstance, ended: dict[str, str], status: DagsterRunStatus, tags: dict[str, str]
) -> None:
    """Neither its pid nor the socket of its code server is to be found here, and still it may live."""
    run = _run(instance, status, {**tags, **NO_SERVER})
    _note(instance, run, int(ended[PID]))
    assert clear_dead_runs(instance, now=time.time() + LATER_S) == []
    assert clear_dead_runs(instance, now=time.time() + MUCH_LATER_S) == [run.run_id]


def test_requested_runs_name_their_machine() -> None:
    request = run_request(Request(Work(("raw_pool",), "tea", "d1"), attempt=1))
    assert HERE.items() <= request.tags.items()


def test_a_pid_that_was_used_again_is_another_process() -> None:
    assert not process_is_gone(os.getpid(), time.time())
    assert process_is_gone(os.getpid(), time.time() - 7 * 24 * 3600)


def _claimed(instance: DagsterInstance) -> list[str]:
    return [slot.run_id for slot in instance.event_log_storage.get_concurrency_info("device").claimed_slots]


def _claim(instance: DagsterInstance, run: DagsterRun) -> bool:
    return instance.event_log_storage.claim_concurrency_slot("device", run.run_id, "a_step").is_claimed


@pytest.fixture
def device(instance: DagsterInstance) -> DagsterInstance:
    instance.event_log_storage.set_concurrency_slots("device", 1)
    return instance


@pytest.mark.parametrize("status", [DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING])
def test_a_dead_run_gives_its_slot_to_the_one_that_waits(
    device: DagsterInstance, ended: dict[str, str], status: DagsterRunStatus
) -> None:
    dead = _run(device, status, ended)
    living = _run(device, DagsterRunStatus.STARTED, process_tags())
    assert _claim(device, dead)
    assert not _claim(device, living)
    clear_dead_runs(device)
    assert _claim(device, living)
    assert _claimed(device) == [living.run_id]
    clear_dead_runs(device)
    assert _claimed(device) == [living.run_id]


def test_a_slot_of_an_ended_run_is_free_once_its_process_is_gone(
    device: DagsterInstance, ended: dict[str, str]
) -> None:
    """Somebody marks a run as ended in the UI: its process may still hold its model."""
    still_there = _run(device, DagsterRunStatus.CANCELED, process_tags())
    assert _claim(device, still_there)
    clear_dead_runs(device)
    assert _claimed(device) == [still_there.run_id]
    device.add_run_tags(still_there.run_id, ended)
    clear_dead_runs(device)
    assert _claimed(device) == []


def test_a_slot_of_a_run_that_was_deleted_is_free(device: DagsterInstance) -> None:
    gone = _run(device, DagsterRunStatus.STARTED, process_tags())
    assert _claim(device, gone)
    device.run_storage.delete_run(gone.run_id)
    clear_dead_runs(device)
    assert _claimed(device) == []


def test_the_sensor_clears_and_says_so(instance: DagsterInstance, ended: dict[str, str]) -> None:
    _run(instance, DagsterRunStatus.STARTED, ended)
    said = []
    for _ in range(2):
        with dg.build_sensor_context(instance=instance) as context:
            said.append(dead_run_sensor(context).skip_message)
    assert said == ["cleared 1 dead runs", "every run has its process"]
