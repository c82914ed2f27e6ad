"""The model's process is killed, whatever it is at: the step is tried again, resumes, and scores nothing twice."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

import dagster as dg
import lancedb
import pytest

from deita_assets_tests.defs.test_by_hand import Hand
from deita_assets_tests.soak.texts import conversations

pytestmark = pytest.mark.slow
N_ROWS = 40
#: Read by every Python process that starts with it on its path: the child kills itself at the place that the first
#: line of the plan names, and takes that line out.
_SITE = """
import os, sys
if "deita_assets.engines.child" in sys.orig_argv:
    from pathlib import Path
    from deita_assets_tests.crashes import arm
    plan = Path(os.environ["KILL_PLAN"])
    place, *rest = plan.read_text().splitlines() or [""]
    plan.write_text("\\n".join(rest))
    if place:
        name, calls = place.split()
        arm(name, int(calls))
"""
#: Places in the order in which the child comes by, with the how manieth call.
_READ = "deita_assets.stores.scored:wanted_keys 1"
_LOCK = "deita_assets.stores.vectors:ScoreTable.prompts 1"
_FIRST = "deita_assets.stores.vectors:ScoreTable.insert 1"
_SECOND = "deita_assets.stores.vectors:ScoreTable.insert 2"
_COVERED = "deita_assets.stores.scored:save_coverage 1"
_REPORT = "dataclasses:asdict 1"


@pytest.fixture
def hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hand]:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(_SITE, encoding="utf-8")
    root = Path(__file__).resolve().parents[2]
    monkeypatch.setenv("PYTHONPATH", f"{site}:{root}")
    monkeypatch.setenv("KILL_PLAN", str(tmp_path / "plan"))
    monkeypatch.setenv("DEITA_SCORER__NAME", "heuristic")
    with dg.instance_for_test() as instance:
        hand = Hand(instance, tmp_path / "home")
        hand.drop("tea", conversations(Random(4), N_ROWS))
        assert hand.materialise("raw_pool", "tea").success
        yield hand


@pytest.mark.parametrize(
    ("places", "reused"),
    [
        # The longest text goes alone, the others follow in one commit.
        ([_READ, _LOCK], 0),
        ([_FIRST, _SECOND], 1),
        ([_COVERED, _REPORT], N_ROWS),
    ],
    ids=["before anything is scored", "between the commits", "when all is scored"],
)
def test_a_killed_child_is_started_again_and_resumes(
    hand: Hand, tmp_path: Path, places: list[str], reused: int
) -> None:
    (tmp_path / "plan").write_text("\n".join(places), encoding="utf-8")
    done = hand.materialise("complexity_scores", "tea")
    assert done.success
    assert (tmp_path / "plan").read_text() == "", "each place was come by"
    retries = [event for event in done.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]
    assert len(retries) == len(places)
    metadata = hand.metadata("complexity_scores", "tea")
    assert (metadata["reused"], metadata["computed"]) == (reused, N_ROWS - reused)
    table = lancedb.connect(str(hand.platform.home.lance)).open_table("scores")
    keys = table.search().select(["score_key"]).to_arrow()["score_key"].to_pylist()
    assert len(keys) == len(set(keys)) == N_ROWS


def test_a_child_that_dies_every_time_fails_the_run_and_the_next_one_resumes(
    hand: Hand, tmp_path: Path
) -> None:
    (tmp_path / "plan").write_text("\n".join([_FIRST, _SECOND, _COVERED]), encoding="utf-8")
    assert not hand.materialise("complexity_scores", "tea").success
    assert hand.stale("tea")[0] == "complexity_scores"
    assert hand.materialise("complexity_scores", "tea").success
    metadata = hand.metadata("complexity_scores", "tea")
    assert (metadata["reused"], metadata["computed"]) == (N_ROWS, 0)


def test_a_child_whose_run_died_while_it_started_ends_at_once(hand: Hand, tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    command = [sys.executable, "-m", "deita_assets.engines.child", "complexity", "tea"]
    command += ["--home", str(hand.platform.home.root), "--parent", str(gone.pid)]
    (tmp_path / "plan").write_text("", encoding="utf-8")
    assert subprocess.run(command, timeout=120).returncode == -signal.SIGKILL
    assert not (hand.platform.home.lance / "scores.lance").exists()
