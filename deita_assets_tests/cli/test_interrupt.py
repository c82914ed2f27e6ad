"""Ctrl-C and SIGTERM while a model works: everything ends within seconds, and the same command takes it up."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deita_assets_tests.cli.commands import command_line, deita, environment
from deita_assets_tests.cli.test_kill import N_ROWS, _pool, _table_rows

CURATE = ["curate", "--source", "bridges", "--budget", "50", "--json"]
#: The scorer that needs no model: it is the embedder that is interrupted.
SCORER = {"DEITA_SCORER__NAME": "heuristic"}


def _living(group: int) -> list[str]:
    """Command lines of the processes in a process group that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, process_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if int(process_group) == group and state != "Z":
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _interrupt(home: Path, send: Callable[[int], None], answer: signal.Handlers) -> subprocess.Popen[str]:
    """Start a curate, send its group a signal while it embeds, and wait for its end."""
    run = subprocess.Popen(
        command_line(home, *CURATE),
        env=environment(**SCORER),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, answer),
    )
    deadline = time.monotonic() + 240
    before = _table_rows(home, "embeddings_")
    while _table_rows(home, "embeddings_") == before:
        assert run.poll() is None, "the command ended before the moment of the signal"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    send(run.pid)
    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("send", "answer"),
    [
        (lambda group: os.killpg(group, signal.SIGINT), signal.SIG_DFL),
        pytest.param(
            lambda group: [os.killpg(group, signal.SIGINT), time.sleep(0.1), os.killpg(group, signal.SIGINT)],
            signal.SIG_DFL, marks=pytest.mark.long,
        ),
        (lambda group: os.kill(group, signal.SIGTERM), signal.SIG_IGN),
    ],
    ids=["Ctrl-C", "Ctrl-C twice", "SIGTERM, in the background of a script"],
)  # fmt: skip
def test_an_interrupted_curate_ends_at_once_and_resumes(
    tmp_path: Path, send: Callable[[int], None], answer: signal.Handlers
) -> None:
    home = tmp_path / "home"
    assert deita(home, "add", "bridges", str(_pool(tmp_path / "bridges.jsonl"))).code == 0
    run = _interrupt(home, send, answer)
    # Seconds in fact; without an answer to the signal it went on for more than a minute.
    out, err = run.communicate(timeout=45)
    assert run.returncode not in (0, None)
    assert "Traceback" not in err
    assert '"stopped by hand."' in out
    assert '"Run the same command again: it resumes."' in out
    time.sleep(2)  # whatever were left would have noticed by now that it has no parent
    assert _living(run.pid) == []
    survived = _table_rows(home, "embeddings_")
    assert 0 < survived < N_ROWS

    from dagster import AssetKey, AssetRecordsFilter, DagsterInstance, DagsterRunStatus

    instance = DagsterInstance.from_config(str(home / "dagster"))
    ended = {DagsterRunStatus.SUCCESS, DagsterRunStatus.CANCELED}
    assert {run.status for run in instance.get_runs()} == ended
    done = deita(home, *CURATE, **SCORER)
    assert done.code == 0, done.err
    metadata = (
        instance.fetch_materializations(
            AssetRecordsFilter(asset_key=AssetKey("embeddings"), asset_partitions=["bridges"]), limit=1
        )
        .records[0]
        .asset_materialization.metadata
    )
    assert metadata["reused"].value == survived
    assert metadata["reused"].value + metadata["computed"].value == N_ROWS
