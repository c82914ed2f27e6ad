"""Whatever happens in whatever order: in the end nothing is stale, and every selection is what a fresh home gives."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import dagster as dg
import pytest

from deita_assets_tests.defs.small_home import rows
from deita_assets_tests.defs.test_recuration import Home, automated

pytestmark = pytest.mark.slow
#: Rows that always stand, and the most that come and go: fewer than 20 % of them, which the guard lets leave.
FIRM, LOOSE = 20, 4
SETTINGS = (
    "budgets = [3]\n",
    "budgets = [3, 5]\n",
    "budgets = [3]\n[mixtures.part]\nsources = ['bb', 'aa']\nbudgets = [4]\n",
    "budgets = [3]\n[sources.aa]\naggregation = 'mean'\n[mixtures.all]\nthreshold = 0.2\n",
)


class Person:
    """Does things to a home at random."""

    def __init__(self, home: Home, seed: int) -> None:
        self.home, self.chance = home, random.Random(seed)
        self.text = SETTINGS[0]
        home.settings(self.text)
        for source in ("aa", "bb"):
            home.drop(source, rows(source, FIRM))

    def acts(self) -> None:
        act = self.chance.choice([self.drops, self.drops, self.removes, self.sets, self.breaks, self.mends])
        act()

    def drops(self) -> None:
        """A new file, or another edition of one that stands."""
        source = self.chance.choice(["aa", "bb"])
        at = self.chance.randrange(LOOSE)
        self.home.drop(source, rows(f"{source}-{self.chance.randrange(9)}", 1), f"loose-{at}.jsonl")

    def removes(self) -> None:
        standing = sorted(self.home.folder.glob("*/loose-*.jsonl"))
        if standing:
            self.chance.choice(standing).unlink()

    def sets(self) -> None:
        self.text = self.chance.choice(SETTINGS)
        self.home.settings(self.text)

    def breaks(self) -> None:
        self.home.breaks(self.chance.choice(["complexity_scores", "quality_scores", "embeddings"]))

    def mends(self) -> None:
        self.home.mends()


def subsets(home: Home) -> dict[tuple[str, str], str]:
    found = {}
    for asset in ("selected_subset", "pooled_subset"):
        for partition in home.home.instance.get_materialized_partitions(dg.AssetKey(asset)):
            found[asset, partition] = str(home.home.latest(asset, partition).tags["dagster/data_version"])
    return found


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in (1, 2))])
def test_random_events_end_where_a_fresh_home_does(tmp_path: Path, seed: int) -> None:
    with automated(tmp_path / "lived") as home:
        person = Person(home, seed)
        for _ in range(12):
            person.acts()
            for _ in range(person.chance.randrange(3)):
                home.daemon.round()
        home.mends()
        for _ in range(2):  # past every pause
            home.daemon.settle()
            home.daemon.later_s += 4000
        for request in home.daemon.night():  # what was given up
            home.daemon.execute(request)
        home.daemon.settle()
        assert [line for line in home.daemon.said["recuration"].split("\n") if not _is_settled(line)] == []
        lived, text = subsets(home), person.text
        landing = home.folder

        with automated(tmp_path / "fresh") as fresh:
            shutil.copytree(landing, fresh.folder, dirs_exist_ok=True)
            fresh.settings(text)
            fresh.daemon.settle()
            wanted = subsets(fresh)

    assert wanted
    assert {one: version for one, version in lived.items() if one in wanted} == wanted


def _is_settled(line: str) -> bool:
    """Whether a tick's line leaves nothing to be done: a mixture that settings no longer define is left as it is."""
    return (
        line == "everything is current" or line.startswith("mixture part: ") and "deita.toml has no" in line
    )
