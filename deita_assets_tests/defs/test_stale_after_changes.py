"""What Dagster itself calls stale as things change, which is what its UI shows, and where it differs from our rule.

Dagster compares data versions upstream and code versions, one step at a time; `staleness.py` also settings and files,
and everything below. Where the two differ stands in the tests, so that a change of Dagster's rule is noticed.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deita_assets.defs.steps import staleness
from deita_assets_tests.defs.small_home import SmallHome, key, rows, small_home, stale

pytestmark = pytest.mark.slow
SOURCE_CHAIN = ("raw_pool", "complexity_scores", "quality_scores", "embeddings", "scored_pool")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallHome]:
    """Sources `aa` and `bb`; mixture `all` at 3, `aa` alone at 2, and `part`, a mixture of `aa` alone."""
    with small_home(tmp_path_factory.mktemp("stale")) as home:
        home.platform.home.settings.write_text("[mixtures.part]\nsources = ['aa']\n", encoding="utf-8")
        for source in ("aa", "bb"):
            home.drop(source, rows(source, 6))
        home.curate("mixture", "all", 3, ["aa", "bb"])
        home.curate("mixture", "part", 3, ["aa"])
        home.curate("source", "aa", 2, ["aa"])
        yield home


def test_1_nothing_is_stale_after_a_curate(home):
    assert stale(home) == {}


def test_2_a_larger_budget_takes_the_ledger_further_and_makes_nothing_stale(home):
    ledger, subset = (
        home.run_ids("pooled_ledger", "all"),
        home.run_ids("pooled_subset", key("mixture", "all", 3)),
    )

    home.curate("mixture", "all", 8, ["aa", "bb"])

    assert (
        home.latest("pooled_subset", key("mixture", "all", 8)).metadata["dagster/partition_row_count"].value
        == 8
    )
    assert home.run_ids("pooled_ledger", "all") == ledger
    assert home.run_ids("pooled_subset", key("mixture", "all", 3)) == subset
    assert stale(home) == {}


def test_3_materialising_again_with_the_same_outcome_makes_nothing_stale(home):
    for asset in SOURCE_CHAIN:
        assert home.materialise(asset, "aa").success

    assert stale(home) == {}


def test_4_new_rows_make_stale_what_reads_them_and_say_why(home):
    home.add("bb", rows("new", 2), "more.jsonl")

    assert stale(home) == {
        (asset, "bb"): ["data of raw_pool[bb]"]
        for asset in ("complexity_scores", "quality_scores", "embeddings", "scored_pool")
    }
    now = staleness(home.instance, home.platform)  # ours looks further down
    assert now.stale_source_assets("bb") == [*SOURCE_CHAIN[1:], "selection_ledger"]


def test_5_the_mixtures_are_stale_once_the_scored_pool_is_new(home):
    """A mixture that leaves `bb` out is shown as stale too: Dagster has no mapping for some of the sources."""
    for asset in SOURCE_CHAIN[1:]:
        assert home.materialise(asset, "bb").success

    upstream = ["data of embeddings[bb]", "data of scored_pool[bb]"]
    assert stale(home) == {("pooled_ledger", "all"): upstream, ("pooled_ledger", "part"): upstream}
    now = staleness(home.instance, home.platform)
    assert now.is_stale("pooled_ledger", "all")
    assert not now.is_stale("pooled_ledger", "part")
    assert not now.is_stale("selection_ledger", "aa")


def test_6_a_curate_clears_it(home):
    home.curate("mixture", "all", 3, ["aa", "bb"])
    home.curate("mixture", "all", 8, ["aa", "bb"])
    assert set(stale(home)) == {("pooled_ledger", "part")}

    assert home.materialise(
        "pooled_ledger", "part"
    ).success  # the same ledger again, and nothing below is stale

    assert stale(home) == {}


def test_7_files_and_settings_are_what_dagster_does_not_see(home):
    home.drop("aa", rows("late", 1), "late.jsonl")
    settings = home.platform.home.settings
    before = settings.read_text(encoding="utf-8")
    settings.write_text(before + "[mixtures.all]\nthreshold = 0.5\n", encoding="utf-8")
    now = staleness(home.instance, home.platform)

    assert now.is_stale("raw_pool", "aa")
    assert now.is_stale("pooled_ledger", "all")
    assert stale(home) == {}

    (home.platform.home.landing / "aa" / "late.jsonl").unlink()
    settings.write_text(before, encoding="utf-8")
