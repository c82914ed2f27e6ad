"""The Dagster instance of a home: made once even by racing processes, and free of runs whose process is dead."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance, DagsterRunStatus

from deita_assets.defs.instance import BOOT, HOST, PID, clear_dead_runs, process_tags
from deita_assets_tests.cli.commands import environment

_OPEN = (
    "import sys\n"
    "from deita_assets.defs.instance import open_instance\n"
    "from deita_assets.stores.home import Home\n"
    "instance = open_instance(Home.at(sys.argv[1]))\n"
    "instance.add_dynamic_partitions('source', [sys.argv[2]])\n"
)


def test_processes_that_open_a_fresh_home_together_share_one_sound_instance(tmp_path: Path) -> None:
    names = ["one", "two", "three"]
    racing = [
        subprocess.Popen([sys.executable, "-c", _OPEN, str(tmp_path / "home"), name], env=environment())
        for name in names
    ]
    assert [process.wait(timeout=120) for process in racing] == [0, 0, 0]
    instance = DagsterInstance.from_config(str(tmp_path / "home" / "dagster"))
    assert sorted(instance.get_dynamic_partitions("source")) == sorted(names)
    assert not instance.telemetry_enabled
    assert not instance.nux_enabled  # no dialog before the first look


@dg.op
def nothing() -> None: ...


@dg.job
def idle_job() -> None:
    nothing()


@pytest.mark.parametrize(
    ("tags", "ended"),
    [
        (lambda: process_tags(), False),
        (lambda: {**process_tags(), PID: _ended_pid()}, True),
        (lambda: {**process_tags(), BOOT: "another boot"}, True),
        (lambda: {**process_tags(), HOST: "another-machine", PID: "1"}, False),
        (dict, False),
    ],
    ids=["own process", "ended process", "before the last boot", "another machine", "not signed yet"],
)
def test_only_runs_of_dead_processes_of_this_machine_are_cleared(tags, ended) -> None:
    with dg.instance_for_test() as instance:
        run = instance.create_run_for_job(idle_job, status=DagsterRunStatus.STARTED, tags=tags())
        assert clear_dead_runs(instance) == ([run.run_id] if ended else [])
        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert found.status == (DagsterRunStatus.FAILURE if ended else DagsterRunStatus.STARTED)


def _ended_pid() -> str:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    return str(process.pid)
