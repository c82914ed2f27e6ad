"""SIGKILL at every place where a run may be hit, and at random moments: the next run completes, and nobody notices.

After each kill: every account balances, published folders stand as they were, no key stands in LanceDB twice, and
nothing that was stored is computed again. In the end the home is the one that was never killed. A reader looks at
subsets, exports and the serving copy all the while.
"""

from __future__ import annotations

import datetime
import random
import types
from dataclasses import dataclass
from typing import Any

import pytest

from deita_assets.stores import ledgers, selections, takedowns
from deita_assets.stores.home import Home
from deita_assets_tests import crashes
from deita_assets_tests.faults import journeys
from deita_assets_tests.faults.invariant import Look
from deita_assets_tests.faults.journeys import (
    Asking,
    Journey,
    Standing,
    World,
    arrived,
    assert_clean,
    unharmed,
)
from deita_assets_tests.faults.matrix import Fault
from deita_assets_tests.faults.watching import watched_all_the_time

GROUP = "crash"
_STEPS = "score", "embed"


@dataclass(frozen=True)
class Case:
    """One kill.

    Attributes:
        step: of `Journey.steps`.
        place: function at whose call the process is killed, `module:attribute`.
        calls: the how-manieth call.
        done: whether the step was as good as finished.
        default: run without being asked for.
    """

    step: str
    place: str
    calls: int = 1
    default: bool = False
    number: str = "59"

    @property
    def fault(self) -> Fault:
        what = {"60": "SIGKILL between commits of two stores"}.get(self.number, f"SIGKILL: {self.step}")
        return Fault(self.number, what, f"at `{self.place.rpartition(':')[2]}`, call {self.calls}", "safe")

    def __str__(self) -> str:
        return f"{self.step}-{self.place.rpartition(':')[2]}-{self.calls}".replace(" ", "-")


_POOL, _CUT, _SUBSETS = "deita_assets.stores.pool", "deita_assets.engines.cut", "deita_assets.stores.subsets"
_SERVING, _EXPORT = "deita_assets.stores.serving", "deita_assets.engines.export"
_LEDGERS, _SCORED = "deita_assets.stores.ledgers", "deita_assets.stores.scored"
CASES = [
    Case("add", "shutil:copyfile"),
    Case("add", "pathlib:Path.replace", default=True),
    Case("withdraw", "deita_assets.engines.withdrawal:_move"),
    Case("take down", "deita_assets.stores.takedowns:save_takedown"),
    Case("take down", "deita_assets.stores.takedowns:mark"),
    Case("take down", "pathlib:Path.replace"),
    Case("ingest", "deita_assets.engines.staging:Stage.flush"),
    Case("ingest", f"{_POOL}:save_source"),
    Case("ingest", f"{_POOL}:close_files"),
    Case("ingest", f"{_POOL}:load_staged"),
    Case("ingest", f"{_POOL}:save_files"),
    Case("ingest", f"{_POOL}:rebuild_pool", default=True),
    Case("ingest", f"{_POOL}:account"),
    Case("ingest", f"{_POOL}:save_batch"),
    Case("ingest", "shutil:rmtree"),
    Case("ingest", "deita_assets.engines.ingest:forget_refused", number="60"),
    Case("score", "deita_assets_tests.engines.fakes:FakeScorer.score_turns"),
    Case("score", "deita_assets.stores.vectors:_insert"),
    Case("score", "deita_assets.stores.vectors:_insert", calls=2, default=True),
    Case("score", "deita_assets.engines.progress:Progress.advance", calls=2),
    Case("score", f"{_SCORED}:save_fingerprint", number="60"),
    Case("score", f"{_SCORED}:save_coverage", default=True, number="60"),
    Case("score", f"{_SCORED}:save_coverage", calls=2, number="60"),
    Case("embed", "deita_assets_tests.engines.fakes:FakeEmbedder.embed", calls=2),
    Case("embed", "deita_assets.stores.vectors:_insert", calls=2, default=True),
    Case("embed", "deita_assets.engines.progress:Progress.advance", calls=2),
    Case("embed", f"{_SCORED}:save_coverage", number="60"),
    Case("scored pool", f"{_SCORED}:replace_scored_turns"),
    Case("scored pool", f"{_SCORED}:replace_scored_turns", calls=2),
    Case("scored pool", f"{_SCORED}:replace_scored_pool", default=True),
    Case("select", f"{_LEDGERS}:save_ledger", default=True),
    Case("select", f"{_LEDGERS}:set_ledger_head"),
    Case("select", f"{_LEDGERS}:prune_ledgers"),
    Case("select", f"{_CUT}:publish_folder"),
    Case("select", f"{_SUBSETS}:_fill"),
    Case("select", f"{_SUBSETS}:_write_json"),
    Case("select", f"{_SUBSETS}:_write_json", calls=2, default=True),
    Case("select", f"{_SUBSETS}:sync", calls=3),
    Case("select", "pathlib:Path.rename"),
    Case("select", "deita_assets.stores.selections:register", default=True),
    Case("select", "deita_assets.stores.selections:_insert_members"),
    Case("publish", f"{_SERVING}:_copy_in_child", default=True),
    Case("publish", "subprocess:Popen.communicate"),
    Case("publish", f"{_SERVING}:sync"),
    Case("publish", "pathlib:Path.replace"),
    Case("publish", f"{_SERVING}:sync", calls=2),
    Case("publish", f"{_SERVING}:_states"),
    Case("export", f"{_EXPORT}:_write_rows"),
    Case("export", f"{_EXPORT}:_write_beside", default=True),
    Case("export", f"{_EXPORT}:_write_json"),
    Case("export", "deita_assets.stores.new_folder:sync", calls=2),
    Case("export", "pathlib:Path.rename"),
    Case("compact", "deita_assets.stores.lance_upkeep:_optimize"),
    Case("compact", "deita_assets.stores.lance_upkeep:_optimize", calls=2, default=True),
    Case("compact", "deita_assets.engines.compact:find_leftovers"),
    Case("compact", "deita_assets.stores.warehouse:Warehouse.checkpoint"),
]
_MARKED = [case if case.default else pytest.param(case, marks=pytest.mark.slow) for case in CASES]


@pytest.fixture(scope="module")
def watch(tmp_path_factory):
    """The reader; it is asked in the end."""
    folder = tmp_path_factory.mktemp("homes")
    with watched_all_the_time(folder, folder / ".report.json") as watch:
        yield folder
    assert watch.faults == ()
    assert watch.looks > 0


def killed(case: Case, world: World, journey: Journey) -> str:
    """Kill one step, and go on with the same step; what was seen."""
    before, asking = Look.at(journey.home), Asking(journey)
    code = crashes.run(journeys.take_step, journey.home.root, case.step, kill_at=case.place, calls=case.calls)
    assert code == crashes.KILLED
    unharmed(journey, before)
    kept, _ = asking.since()
    journey.steps[case.step]()
    _, computed = asking.since()
    assert arrived(journey) == world.arrived(journeys.after(case.step))
    if case.step not in _STEPS:
        return "nothing half done was visible; the next run completes"
    return f"{kept} results kept, {computed} computed by the next run; none lost, none twice"


@pytest.mark.parametrize("case", _MARKED, ids=str)
def test_killed_in_a_step(case, world, watch, witness):
    with world.copy(case.step, watch, str(case)) as journey:
        witness(case.fault, killed(case, world, journey))


def _killed_at_random(journey: Journey, task: Any, chance: random.Random, kills: int) -> int:
    """Kills of a task at random moments, one after the other; how many of them hit."""
    hit, asking = 0, Asking(journey)
    for _ in range(kills):
        before = Look.at(journey.home)
        process = crashes.start(task, journey.home.root)
        process.join(chance.uniform(0.02, _LONGEST_S))
        crashes.kill(process)
        assert process.exitcode in (0, crashes.KILLED)
        hit += process.exitcode == crashes.KILLED
        unharmed(journey, before)
        asking.since()
    task(journey.home.root)
    asking.since()
    assert hit
    return hit


#: Shorter than the whole way takes on any machine; several kills after each other get to its end all the same.
_LONGEST_S = 1.4
_RANDOM = Fault("59", "SIGKILL at any moment", "at random moments of the whole way, again and again", "safe")
_FIRST = Fault(
    "59", "SIGKILL at any moment of the first run", "at random moments in a home that is new", "safe"
)
_NOTHING_LOST = "the next run completes; none lost, none doubled, none computed twice"


def _random_kills(world, watch, witness, seed, kills):
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    with world.copy(journeys.STEPS[0], watch, f"random-{seed}") as journey:
        hit = _killed_at_random(journey, journeys.go, chance, kills)
        assert Standing.of(journey) == world.untouched
        assert_clean(journey)
    witness(_RANDOM, _NOTHING_LOST, times=hit)


def test_killed_at_random_moments(world, watch, witness):
    _random_kills(world, watch, witness, 0, 2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 5))
def test_killed_at_many_random_moments(world, watch, witness, seed):
    _random_kills(world, watch, witness, seed, 10)


@pytest.mark.slow
def test_killed_at_random_moments_of_the_first_run(world, watch, witness):
    chance = random.Random(5)  # noqa: S311 - reproducible, not secret
    journey = Journey(Home(watch / "first" / "home"))
    hit = _killed_at_random(journey, journeys.begin, chance, 10)
    assert arrived(journey) == world.arrived(journeys.STEPS[0])
    witness(_FIRST, _NOTHING_LOST, times=hit)


_CLOCK = Fault("66", "the clock jumps", "a day on, and two days back in the middle of the way", "safe")


def test_the_clock_jumps(world, tmp_path, witness, monkeypatch):
    """Versions, pools and what is computed go by content; only what is told of time follows the clock."""
    with world.copy("ingest", tmp_path, "clock") as journey:
        for at, step in enumerate(journeys.STEPS[journeys.STEPS.index("ingest") :]):
            days = 1 if at < len(journeys.STEPS) // 3 else -1
            for module in (selections, ledgers, takedowns):
                monkeypatch.setattr(module, "dt", _shifted(days))
            journey.steps[step]()
        assert Standing.of(journey) == world.untouched
        witness(_CLOCK, "the same pools, ledgers and versions; nothing computed twice")


def _shifted(days: int) -> Any:
    """The module `datetime` with another clock."""
    shift = datetime.timedelta(days=days)

    class Shifted(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime.now(tz) + shift

    return types.SimpleNamespace(**{**vars(datetime), "datetime": Shifted})
