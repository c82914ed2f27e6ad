"""A home under a running `deita-assets dev`, changed at random and killed at random, ends as if made from scratch.

TEST_SOAK_SEED, TEST_SOAK_STEPS and TEST_SOAK_QUIET_S (patience at the end, in seconds) may say otherwise.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from dagster import DagsterInstance

from deita_assets_tests.cli.commands import deita
from deita_assets_tests.soak import invariants
from deita_assets_tests.soak.changes import Changes
from deita_assets_tests.soak.dev import Dev, until

pytestmark = [pytest.mark.slow, pytest.mark.long]
PORT = 3955
SEED = int(os.environ.get("TEST_SOAK_SEED", "6"))
N_STEPS = int(os.environ.get("TEST_SOAK_STEPS", "18"))
#: What is killed, in this order, once after every third change; `everything` is the whole session at once.
VICTIMS = ("child", "run", "daemon", "child", "run", "everything")
#: Seconds until the automation must be quiet at the end, on a machine that does other things as well.
QUIET_S = int(os.environ.get("TEST_SOAK_QUIET_S", "900"))
#: Seconds without work after which it counts as quiet: the sensors look every 15 to 30.
QUIET_FOR_S = 40


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[Dev]:
    made = Dev(tmp_path / "home", PORT)
    yield made
    made.stop()


def test_after_random_changes_and_kills_every_selection_is_as_from_scratch(dev: Dev) -> None:
    rng = Random(SEED)
    changes = Changes(dev.home, rng)
    changes.begin(2)
    dev.start()
    history = invariants.open_history(dev.home)
    until(lambda: history.get_runs(limit=1), "the first run", 240)
    victims = iter(VICTIMS)
    for step in range(N_STEPS):
        _tell(changes.one())
        _let_work(dev, history, rng)
        if step % 3 == 2:
            _tell(_strike(dev, next(victims, "run")))
    _until_quiet(dev, history, changes)
    _tell(f"{len(history.get_runs())} runs")

    assert invariants.live_runs(history) == []
    assert invariants.claimed_slots(history) == []
    assert invariants.keys_twice(dev.home) == {}
    assert invariants.scored_twice(dev.home, history) == {}
    assert invariants.overlapping_model_steps(history) == []
    found = invariants.heads(dev.home)
    assert {("source", "aa", 4), ("mixture", "all", 6)} <= set(found)
    assert invariants.served_heads(dev.home) == found
    dev.stop()
    assert found == _from_scratch(dev.home, dev.home.parent / "scratch", found)


def _tell(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)


def _let_work(dev: Dev, history: DagsterInstance, rng: Random) -> None:
    """Wait for one of the moments at which the next thing may happen."""
    moment = rng.choice(["at once", "a run is launched", "a model works", "a run has ended"])
    n_ended = len(_ended(history))
    reached = {
        "at once": lambda: True,
        "a run is launched": lambda: bool(dev.processes("run")),
        "a model works": lambda: bool(dev.processes("child")),
        "a run has ended": lambda: len(_ended(history)) > n_ended,
    }[moment]
    deadline = time.monotonic() + 60
    while not reached() and time.monotonic() < deadline:  # a change may ask for no work
        time.sleep(0.25)


def _ended(history: DagsterInstance) -> list[str]:
    return [run.run_id for run in history.get_runs() if run.is_finished]


def _strike(dev: Dev, victim: str) -> str:
    if victim == "everything":
        dev.kill_all()
    elif victim == "daemon":
        dev.kill("daemon")
        until(lambda: not dev.is_up, "dev to end with its daemon", 120)
    else:
        deadline = time.monotonic() + 60
        while not (killed := dev.kill(victim)) and time.monotonic() < deadline:
            time.sleep(0.1)
        if not killed:
            return f"no {victim} came to be killed"
    if not dev.is_up:
        dev.start()
    return f"killed {victim}"


def _until_quiet(dev: Dev, history: DagsterInstance, changes: Changes) -> None:
    since = [time.monotonic()]

    def quiet() -> bool:
        if invariants.live_runs(history) or _left(dev, history, changes):
            since[0] = time.monotonic()
        return time.monotonic() - since[0] > QUIET_FOR_S

    try:
        until(quiet, "the automation to be quiet", QUIET_S, every_s=3)
    except AssertionError:
        left = {"stale": _left(dev, history, changes), "live": invariants.live_runs(history)}
        raise AssertionError(f"not quiet after {QUIET_S} s: {left}") from None


def _left(dev: Dev, history: DagsterInstance, changes: Changes) -> list[str]:
    """What is stale, and selections that settings ask for and nobody made."""
    wanted = {("mixture", "all", budget) for budget in changes.settings[""]["budgets"]}
    for table, keys in changes.settings.items():
        kind, _, scope = table.partition(".")
        if kind in ("sources", "mixtures") and "budgets" in keys:
            own = keys["budgets"]
            wanted |= {(kind[:-1], scope, budget) for budget in own}
    missing = [f"no selection {one}" for one in sorted(wanted - set(invariants.heads(dev.home)))]
    return invariants.stale(dev.home, history, changes.sources) + missing


def _from_scratch(home: Path, scratch: Path, found: dict[invariants.Head, str]) -> dict[invariants.Head, str]:
    """The selections of a home that the command line makes of the final files and settings."""
    scratch.mkdir()
    shutil.copyfile(home / "deita.toml", scratch / "deita.toml")
    for folder in sorted((home / "landing").iterdir()):
        files = sorted(str(path) for path in folder.glob("*.jsonl"))
        if files:
            done = deita(scratch, "add", folder.name, *files)
            assert done.code == 0, done.err
    scopes: dict[tuple[str, str], list[int]] = {}
    for kind, scope, budget in sorted(found):
        scopes.setdefault((kind, scope), []).append(budget)
    for (kind, scope), budgets in scopes.items():
        options = [word for budget in budgets for word in ("--budget", str(budget))]
        done = deita(scratch, "curate", f"--{kind}", scope, *options)
        assert done.code == 0, done.err
    return invariants.heads(scratch)
