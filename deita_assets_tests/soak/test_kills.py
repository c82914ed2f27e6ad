"""SIGKILL of each process of a `deita-assets dev`, in the middle of different steps: the work is finished all the same.

What is killed here is launched by the daemon; kills of a `curate` are in cli/test_kill.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from dagster import DagsterInstance

from deita_assets_tests.cli.commands import deita
from deita_assets_tests.soak import invariants, texts
from deita_assets_tests.soak.dev import Dev, until

pytestmark = [pytest.mark.slow, pytest.mark.long]
PORT = 3954
_SETTINGS = '[scorer]\nname = "heuristic"\n[sources.tea]\nbudgets = [8]\n'
#: What is killed, and during which step. `everything` is the whole session at once.
KILLS = [
    ("child", "complexity"),
    ("child", "embedding"),
    ("run", "quality"),
    ("daemon", "embedding"),
    ("code server", "complexity"),
    ("webserver", "quality"),
    ("run", "raw_pool"),
    ("everything", "embedding"),
]
#: Seconds for one drop, a kill and all that follows, on a machine that does other things as well.
PATIENCE_S = 420


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    home = tmp_path_factory.mktemp("kills") / "home"
    home.mkdir()
    (home / "deita.toml").write_text(_SETTINGS, encoding="utf-8")
    started = Dev(home, PORT)
    try:
        started.start()
        yield started
    finally:
        started.stop()


def _at_work(dev: Dev, history: DagsterInstance, step: str) -> Callable[[], bool]:
    """Whether the step is in the middle of its work."""
    if step == "raw_pool":
        return lambda: bool(dev.processes("run"))
    return lambda: any(f" {step} " in child.command for child in dev.processes("child"))


def _strike(dev: Dev, victim: str) -> None:
    if victim == "everything":
        dev.kill_all()
    else:
        assert dev.kill(victim), f"there was no {victim}"
    if victim in ("daemon", "webserver", "code server"):  # dev ends with each of them
        until(lambda: not dev.is_up, "dev to end", 120)
    if not dev.is_up:
        dev.start()


def test_whatever_is_killed_the_work_is_finished_once(dev: Dev) -> None:
    rng = Random(1)
    history = invariants.open_history(dev.home)
    for at, (victim, step) in enumerate(KILLS):
        rows = texts.conversations(rng, 12)
        texts.write(dev.home / "landing" / "tea" / f"{at:02}.jsonl", rows)
        until(_at_work(dev, history, step), f"{step} to work, to kill {victim}", PATIENCE_S, every_s=0.05)
        _strike(dev, victim)
        until(
            lambda: not invariants.live_runs(history)
            and not invariants.source_is_stale(dev.home, history, "tea"),
            f"the work to be finished after {victim} was killed in {step}", PATIENCE_S, every_s=2,
        )  # fmt: skip
        assert invariants.claimed_slots(history) == [], (victim, step)
        assert invariants.keys_twice(dev.home) == {}, (victim, step)
        assert invariants.scored_twice(dev.home, history) == {}, (victim, step)
    assert invariants.overlapping_model_steps(history) == []
    dev.stop()
    assert dev.processes() == []

    files = sorted(str(path) for path in (dev.home / "landing" / "tea").iterdir())
    curate = ("curate", "--source", "tea", "--budget", "8", "--json")
    after = deita(dev.home, *curate)
    assert after.code == 0, after.err
    untouched: Path = dev.home.parent / "untouched"
    untouched.mkdir()
    (untouched / "deita.toml").write_text((dev.home / "deita.toml").read_text())
    assert deita(untouched, "add", "tea", *files).code == 0
    assert deita(untouched, *curate).code == 0
    scope = ("source", "tea", 8)
    assert invariants.heads(dev.home)[scope] == invariants.heads(untouched)[scope]
