"""SIGKILL in the middle of the work, then the same command again: nothing lost, nothing twice, no stuck run."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import lancedb
import pytest
from dagster import DagsterRunStatus

from deita_assets_tests.cli.commands import chat, command_line, deita, environment, write_jsonl
from deita_assets_tests.soak import invariants

N_ROWS = 400


def _pool(path: Path) -> Path:
    rows = [
        chat(
            f"Question {n}: how does a bridge of {n} metres carry {n * 3} lorries in a storm, and why?",
            " ".join(
                f"Reason {n}.{part}: the load of lorry {part} travels along cable {n + part}."
                for part in range(12)
            ),
        )
        for n in range(N_ROWS)
    ]
    return write_jsonl(path, rows)


def _table_rows(home: Path, prefix: str) -> int:
    tables = list((home / "lance").glob(f"{prefix}*.lance"))
    return int(lancedb.connect(str(home / "lance")).open_table(tables[0].stem).count_rows()) if tables else 0


def _kill_when(home: Path, arguments: list[str], reached: Callable[[], bool], **variables: str) -> None:
    run = subprocess.Popen(
        command_line(home, *arguments),
        env=environment(**variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not reached():
        assert run.poll() is None, "the command ended before the moment of the kill"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    run.wait()


def _keys(home: Path, table: str, key: str) -> list[str]:
    return (
        lancedb.connect(str(home / "lance"))
        .open_table(table)
        .search()
        .select([key])
        .to_arrow()[key]
        .to_pylist()
    )  # type: ignore[no-any-return]


@pytest.mark.slow
@pytest.mark.parametrize("scorer", ["heuristic", pytest.param("distilled", marks=pytest.mark.long)])
def test_a_killed_curate_resumes_without_losing_or_doubling_a_row(tmp_path: Path, scorer: str) -> None:
    """Killed while it embeds: in the embeddings step, or in the quality step that embeds on the way."""
    home, chosen = tmp_path / "home", {"DEITA_SCORER__NAME": scorer}
    assert deita(home, "add", "bridges", str(_pool(tmp_path / "bridges.jsonl"))).code == 0
    curate = ["curate", "--source", "bridges", "--budget", "50", "--json"]
    _kill_when(home, curate, lambda: 0 < _table_rows(home, "embeddings_") < N_ROWS, **chosen)
    time.sleep(2)  # the child notices within a second that its parent is gone
    survived = _table_rows(home, "embeddings_")
    assert 0 < survived < N_ROWS

    done = deita(home, *curate, **chosen)
    assert done.code == 0, done.err
    assert "was cut off" in done.err
    table = next((home / "lance").glob("embeddings_*.lance")).stem
    for name, key in ((table, "content_sha256"), ("scores", "score_key")):
        keys = _keys(home, name, key)
        assert len(keys) == len(set(keys))
    assert len(_keys(home, table, "content_sha256")) == N_ROWS

    from dagster import AssetKey, AssetRecordsFilter, DagsterInstance, RunsFilter

    instance = DagsterInstance.from_config(str(home / "dagster"))
    latest = instance.fetch_materializations(
        AssetRecordsFilter(asset_key=AssetKey("embeddings"), asset_partitions=["bridges"]), limit=1
    ).records[0]
    metadata = latest.asset_materialization.metadata
    left_for_the_step = N_ROWS - survived if scorer == "heuristic" else 0
    assert metadata["reused"].value == N_ROWS - left_for_the_step
    assert metadata["computed"].value == left_for_the_step
    live = [DagsterRunStatus.STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.QUEUED]
    assert instance.get_runs(RunsFilter(statuses=live)) == []

    untouched = tmp_path / "never_killed"
    assert deita(untouched, "add", "bridges", str(_pool(tmp_path / "bridges.jsonl"))).code == 0
    reference = deita(untouched, *curate, **chosen)
    assert reference.document["selections"] == done.document["selections"]


#: A curation kills itself as it calls these, one after the other, in the order in which it comes by.
PLACES = [
    ("raw_pool", "deita_assets.stores.pool:load_staged"),
    ("raw_pool, committed", "deita_assets.defs.pool.assets:known_source"),
    ("scored_pool", "deita_assets.stores.scored:replace_scored_pool"),
    ("selection_ledger", "deita_assets.stores.ledgers:save_ledger"),
    ("selection_ledger, without a head", "deita_assets.stores.ledgers:set_ledger_head"),
    ("selected_subset", "deita_assets.engines.cut:publish_folder"),
    ("selected_subset, not registered", "deita_assets.stores.selections:register"),
    ("serving_catalog", "deita_assets.stores.serving:_copy_in_child"),
]
_ARMED = (
    "import sys\n"
    "from deita_assets_tests.crashes import arm\n"
    "arm(sys.argv.pop(1), 1)\n"
    "from deita_assets.cli import main\n"
    "main()\n"
)


@pytest.mark.slow
def test_a_curate_killed_in_each_of_its_steps_in_turn_ends_as_one_never_killed(tmp_path: Path) -> None:
    home, untouched = tmp_path / "home", tmp_path / "never_killed"
    for one in (home, untouched):
        (one / "landing" / "bridges").mkdir(parents=True)
        _pool(one / "landing" / "bridges" / "bridges.jsonl")
        (one / "deita.toml").write_text('[scorer]\nname = "heuristic"\n', encoding="utf-8")
    curate = ["curate", "--source", "bridges", "--budget", "50", "--json"]
    python, _, _, *arguments = command_line(home, *curate)
    for step, place in PLACES:
        killed = subprocess.run(
            [python, "-c", _ARMED, place, *arguments],
            env=environment(), capture_output=True, text=True, timeout=400, check=False,
        )  # fmt: skip
        assert killed.returncode == -signal.SIGKILL, f"{step}: {killed.stdout} {killed.stderr}"
    done = deita(home, *curate)
    assert done.code == 0, done.err

    history = invariants.open_history(home)
    assert invariants.live_runs(history) == []
    assert invariants.claimed_slots(history) == []
    assert invariants.keys_twice(home) == {}
    assert invariants.scored_twice(home, history) == {}
    assert invariants.source_is_stale(home, history, "bridges") == []
    failed = [run for run in history.get_runs() if run.status is DagsterRunStatus.FAILURE]
    assert len(failed) == len(PLACES)

    assert deita(untouched, *curate).document["selections"] == done.document["selections"]
    assert invariants.served_heads(home) == invariants.heads(home) == invariants.heads(untouched)


@pytest.mark.slow
def test_a_publish_killed_at_any_moment_leaves_a_whole_copy(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert deita(home, "add", "bridges", str(_pool(tmp_path / "bridges.jsonl"))).code == 0
    program = (
        "import sys, threading, time, os, signal\n"
        "from deita_assets.stores.home import Home\n"
        "from deita_assets.stores.serving import publish\n"
        "from deita_assets.stores.warehouse import Warehouse\n"
        "home = Home.at(sys.argv[1])\n"
        "with Warehouse(home).write('touch') as con:\n"
        "    con.execute('insert into store.scoring_attempt values (?, ?, ?, ?, now())', "
        "['t', 's', None, sys.argv[2]])\n"
        "threading.Timer(float(sys.argv[2]), lambda: os.kill(os.getpid(), signal.SIGKILL)).start()\n"
        "publish(home)\n"
        "time.sleep(5)\n"
    )
    for delay in (0.0, 0.002, 0.005, 0.01, 0.02, 0.05):
        subprocess.run(
            [command_line(home)[0], "-c", program, str(home), str(delay)],
            env=environment(),
            timeout=60,
            check=False,
        )
        rows = deita(home, "sql", "select count(*) as n from pool", "--json")
        assert rows.code == 0, rows.err
        assert rows.document == [{"n": N_ROWS}]
    again = deita(home, "add", "bridges", str(tmp_path / "bridges.jsonl"), "--json")
    assert again.code == 0, again.err
    assert json.loads(again.out)["in_pool"] == N_ROWS
