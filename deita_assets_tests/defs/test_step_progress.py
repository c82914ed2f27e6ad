"""Progress of a step: observations while it runs, one metadata key, at most one every ten seconds, none when quick."""

from __future__ import annotations

import os
import pty
import select
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance

from deita_assets.defs import progress as module
from deita_assets.defs.progress import bytes_progress, observed, pass_progress, progress_shown
from deita_assets.engines import progress as engine
from deita_assets.engines.progress import Standing, keep_terminal, terminal_bar

SOURCES = dg.DynamicPartitionsDefinition(name="source")


@pytest.fixture(scope="module")
def instance() -> Iterator[DagsterInstance]:
    with dg.instance_for_test() as made:
        made.add_dynamic_partitions("source", ["tea", "maths", "long", "quick", "passes", "bytes", "live"])
        yield made


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def standing(rows: int, *, ended: bool = False) -> Standing:
    return Standing(rows, 100, rows / 100, 1.0, 1.0, 1.0, ended, f"{rows} of 100 rows")


def run(instance: DagsterInstance, partition: str, body) -> dg.ExecuteInProcessResult:
    @dg.asset(name="step", partitions_def=SOURCES)
    def step(context):
        return body(context)

    return dg.materialize(
        [step], instance=instance, partition_key=partition, raise_on_error=True,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )  # fmt: skip


def observations(instance: DagsterInstance, partition: str) -> list[str]:
    """What was observed of a partition, oldest first."""
    which = dg.AssetRecordsFilter(asset_key=dg.AssetKey("step"), asset_partitions=[partition])
    records = instance.fetch_observations(which, limit=100).records
    found = [record.event_log_entry.asset_observation for record in reversed(records)]
    assert all(list(one.metadata) == ["progress"] for one in found)
    assert all(one.metadata["progress"].value == one.description for one in found)
    return [str(one.description) for one in found]


def test_a_long_step_is_observed_every_ten_seconds_and_at_its_end(instance, clock) -> None:
    def body(context) -> None:
        with progress_shown(context, "long step") as show:
            for second in range(1, 36):
                clock[0] += 1
                show(standing(second))
            clock[0] += 1
            show(standing(100, ended=True))

    run(instance, "long", body)
    assert observations(instance, "long") == [f"{rows} of 100 rows" for rows in (10, 20, 30, 100)]


def test_a_quick_step_is_not_observed(instance, clock) -> None:
    def body(context) -> None:
        with progress_shown(context, "quick step") as show:
            clock[0] += 9.9
            show(standing(50))
            show(standing(100, ended=True))

    run(instance, "quick", body)
    assert observations(instance, "quick") == []


def test_a_pass_tells_rows_kept_and_goes_by_what_ends_it(instance, clock) -> None:
    def body(context) -> None:
        with pass_progress(context, "tea ledger", 1000, depth=50) as on_progress:
            for visited, kept in ((10, 10), (30, 25), (60, 50)):
                clock[0] += 20
                on_progress(visited, kept)

    run(instance, "passes", body)
    told = observations(instance, "passes")
    assert [line.rpartition("; ")[2] for line in told] == ["10 kept", "25 kept", "50 kept", "50 kept"]
    assert told[1].startswith("30 of 1,000 rows, 0.8 rows/s, 33 s left"), "half of the rows to keep in 40 s"
    assert told[-1].startswith("60 of 1,000 rows, 1.0 rows/s, 1 min 0 s in all")


def test_bytes_are_told_in_megabytes(instance, clock) -> None:
    def body(context) -> None:
        with bytes_progress(context, "tea files") as on_progress:
            for read in (10, 20, 40):
                clock[0] += 10
                on_progress(read * 10**6, 40 * 10**6)

    run(instance, "bytes", body)
    assert observations(instance, "bytes") == [
        "10.0 of 40.0 MB, 1.0 MB/s, 30 s left",
        "20.0 of 40.0 MB, 1.0 MB/s, 20 s left",
        "40.0 of 40.0 MB, 1.3 MB/s, 30 s in all",
    ]


_CHILD = """
import sys, time, pathlib
from dagster_pipes import open_dagster_pipes
with open_dagster_pipes() as pipes:
    pipes.report_custom_message({"progress": dict(rows=1, total_rows=2, share=0.5, rows_per_second=1.0, seconds=1.0,
                                                  seconds_left=1.0, ended=False, line="1 of 2 rows")})
    pipes.report_custom_message({"other": 1})
    for _ in range(600):
        if pathlib.Path(sys.argv[1]).exists():
            break
        time.sleep(0.1)
    else:
        sys.exit("nobody saw it")
    pipes.report_custom_message({"progress": dict(rows=2, total_rows=2, share=1.0, rows_per_second=1.0, seconds=2.0,
                                                  seconds_left=0.0, ended=True, line="2 of 2 rows")})
"""


def test_a_childs_progress_is_in_the_event_log_while_the_child_still_runs(
    instance, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(module, "LOG_EVERY_S", 0.0)
    seen = tmp_path / "seen"

    def look() -> None:
        while not observations(instance, "live"):
            threading.Event().wait(0.1)
        seen.touch()

    def body(context) -> dg.MaterializeResult:
        threading.Thread(target=look, daemon=True).start()
        with progress_shown(context, "live step") as show:
            done = observed(dg.PipesSubprocessClient(), show).run(
                context=context, command=[sys.executable, "-c", _CHILD, str(seen)]
            )
        assert list(done.get_custom_messages()) == [{"other": 1}]
        return done.get_materialize_result()

    run(instance, "live", body)
    assert observations(instance, "live") == ["1 of 2 rows", "2 of 2 rows"]


@pytest.fixture
def no_terminal(monkeypatch) -> None:
    monkeypatch.setattr(engine, "_terminal", None)


def test_no_bar_without_a_terminal(no_terminal, capsys) -> None:
    keep_terminal()
    with terminal_bar("tea quality") as bar:
        assert bar is None


def test_the_bar_stays_in_the_terminal_while_stderr_is_a_file(
    no_terminal, monkeypatch, tmp_path: Path
) -> None:
    master, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as stderr, (tmp_path / "stderr").open("w") as file:
        monkeypatch.setattr(sys, "stderr", stderr)
        keep_terminal()
        monkeypatch.setattr(sys, "stderr", file)  # as Dagster does while an asset runs
        with terminal_bar("tea [quality]") as bar:
            assert bar is not None
            bar(standing(50))
        engine._terminal.close()
        shown = b""
        while b"50 of 100 rows" not in shown and select.select([master], [], [], 20)[0]:
            shown += os.read(master, 1 << 16)
    os.close(master)
    assert b"tea [quality]" in shown
    assert b"50 of 100 rows" in shown
    assert (tmp_path / "stderr").read_text() == ""
