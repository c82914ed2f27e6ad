"""Ctrl-C ends the whole run at once: no retry, no other asset, no run left unfinished."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance, DagsterRunStatus

from deita_assets.definitions import build_defs
from deita_assets.defs.automation.curation import Curation
from deita_assets.defs.interrupts import interruptible, let_interrupts_through
from deita_assets.defs.platform import Platform
from deita_assets_tests.cli.commands import TEA, write_jsonl

MODELS = ("complexity_scores", "quality_scores", "embeddings")


class Started:
    """A curation whose model children do what a test says, and which of them were started."""

    def __init__(self, instance: DagsterInstance, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.instance, self.steps, self.shown = instance, [], []
        self.answer: Callable[[], None] = lambda: None
        platform = Platform(home_path=str(home))
        (platform.home.landing / "tea").mkdir()
        write_jsonl(platform.home.landing / "tea" / "rows.jsonl", TEA)
        self.curation = Curation(
            build_defs(home_path=str(home)), instance, platform, on_run=self.shown.append
        )
        self.curation.register("source", ["tea"])
        for module in ("scores", "embeddings"):
            monkeypatch.setattr(f"deita_assets.defs.{module}.assets.run_model_child", self._child)

    def _child(self, context: object, platform: object, pipes: object, step: str) -> dict[str, object]:
        self.steps.append(step)
        self.answer()
        raise AssertionError("the interrupt came too late")

    def statuses(self) -> list[DagsterRunStatus]:
        return [run.status for run in self.instance.get_runs()]

    def events(self) -> set[str]:
        run = self.instance.get_runs(limit=1)[0]
        events = [entry.dagster_event for entry in self.instance.all_logs(run.run_id)]
        return {event.event_type_value for event in events if event}


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Started]:
    with dg.instance_for_test() as instance:
        yield Started(instance, tmp_path / "home", monkeypatch)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Dagster leaves its own choice for SIGTERM behind."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _as_duckdb_does() -> None:
    """DuckDB makes a RuntimeError of its own out of whatever the answer to the signal raises."""
    try:
        signal.raise_signal(signal.SIGINT)
    except BaseException:
        raise RuntimeError("Query interrupted") from None


@pytest.mark.parametrize(
    "answer",
    [
        lambda: signal.raise_signal(signal.SIGINT),
        lambda: signal.raise_signal(signal.SIGTERM),
        lambda: [os.kill(os.getpid(), signal.SIGINT), time.sleep(30)],
        _as_duckdb_does,
    ],
    ids=["Ctrl-C", "termination", "Ctrl-C while waiting", "Ctrl-C in a query"],
)
def test_an_interrupted_model_ends_the_run(started: Started, answer: Callable[[], None]) -> None:
    """Its assets have a retry policy, and the others of the run do not depend on it."""
    started.answer = answer
    with pytest.raises(KeyboardInterrupt):
        started.curation.source("tea", ("raw_pool", *MODELS))
    assert len(started.steps) == 1
    assert started.statuses() == [DagsterRunStatus.CANCELED, DagsterRunStatus.SUCCESS]
    assert "STEP_UP_FOR_RETRY" not in started.events()
    assert [ran.assets for ran in started.shown] == [("raw_pool",)]


def test_a_run_that_never_started_is_cancelled(started: Started) -> None:
    tags = {"deita/curate_id": "this one"}
    job = started.curation._job
    with pytest.raises(KeyboardInterrupt), interruptible(started.instance, tags):
        mine = started.instance.create_run_for_job(job, tags=tags)
        other = started.instance.create_run_for_job(job, tags={"deita/curate_id": "another"})
        let_interrupts_through()
        signal.raise_signal(signal.SIGINT)
    status = {run.run_id: run.status for run in started.instance.get_runs()}
    assert status == {mine.run_id: DagsterRunStatus.CANCELED, other.run_id: DagsterRunStatus.NOT_STARTED}


_IS_HELD = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"


def _child_holds_interrupts() -> bool:
    done = subprocess.run([sys.executable, "-c", _IS_HELD], capture_output=True, text=True, check=True)
    return done.stdout.strip() == "True"


def _interrupt_this_thread() -> None:
    """To this thread alone: a library's other threads would take a signal to the process that this one blocks."""
    signal.pthread_kill(threading.get_ident(), signal.SIGINT)


def test_an_interrupt_waits_for_the_first_asset_and_so_do_processes_started_before(started: Started) -> None:
    reached = []
    with pytest.raises(KeyboardInterrupt), interruptible(started.instance, {}):
        assert _child_holds_interrupts()
        _interrupt_this_thread()
        reached.append("past the interrupt")
        let_interrupts_through()
        reached.append("past the beginning of an asset")
    assert reached == ["past the interrupt"]
    assert not _child_holds_interrupts()


def test_an_interrupt_that_dagster_drops_comes_at_the_end_of_the_run(started: Started) -> None:
    with pytest.raises(KeyboardInterrupt), interruptible(started.instance, {}):
        signal.signal(signal.SIGTERM, lambda *_: None)
        signal.raise_signal(signal.SIGTERM)


def test_without_an_interrupt_everything_is_as_before(started: Started) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's background process ignores it
    held, handler = signal.pthread_sigmask(signal.SIG_BLOCK, []), signal.getsignal(signal.SIGINT)
    with interruptible(started.instance, {}):
        let_interrupts_through()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == held
    assert signal.getsignal(signal.SIGINT) is handler
    assert signal.set_wakeup_fd(-1) == -1


def test_in_the_background_of_a_script_signals_are_heeded_all_the_same(started: Started) -> None:
    """A script leaves SIGINT ignored, and Dagster would give SIGTERM that answer after the first run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    started.curation.source("tea", ("raw_pool",))
    for number in (signal.SIGTERM, signal.SIGINT):
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
