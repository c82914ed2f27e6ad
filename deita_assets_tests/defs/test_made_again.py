"""What a curation runs although nothing that it reads has changed: what was refused, lost or let go."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import lancedb
import pytest

from deita_assets.core.checks.finding import Finding
from deita_assets.defs.check_records import blocking_failures
from deita_assets.defs.check_steps import _told
from deita_assets_tests.defs.small_home import SmallHome, key, rows, small_home

pytestmark = pytest.mark.slow  # the engines' tests of mending have each part of it
POOLED = key("mixture", "all", 3)
SOURCES = ["aa", "bb"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallHome]:
    """Sources `aa` and `bb`, their mixture and a subset of it; each test leaves them sound."""
    with small_home(tmp_path_factory.mktemp("again")) as made:
        for source in SOURCES:
            made.drop(source, rows(source, 4))
        curate(made)
        yield made


def curate(home: SmallHome) -> None:
    home.curate("mixture", "all", 3, SOURCES)


def runs(home: SmallHome) -> dict[str, int]:
    """How often each asset was made, in the order of the journey."""
    partitions = [
        ("complexity_scores", "aa"), ("embeddings", "aa"), ("scored_pool", "aa"), ("embeddings", "bb"),
        ("pooled_ledger", "all"), ("pooled_subset", POOLED),
    ]  # fmt: skip
    return {f"{asset}[{part}]": len(home.run_ids(asset, part)) for asset, part in partitions}


def again(home: SmallHome, before: dict[str, int]) -> set[str]:
    return {name for name, n in runs(home).items() if n > before[name]}


def look(home: SmallHome, asset: str, check: str, partition: str | None) -> dg.ExecuteInProcessResult:
    """Run one check alone."""
    wanted = dg.AssetCheckKey(dg.AssetKey(asset), check)
    job = home.job.get_subset(asset_selection=set(), asset_check_selection={wanted})
    tags = {"dagster/partition": partition} if partition else {}
    return job.execute_in_process(instance=home.instance, tags=tags, raise_on_error=False)


def of_source(home: SmallHome, source: str) -> tuple[str, str]:
    """(content, complexity prompt) of a row of a source."""
    with home.platform.warehouse.read("test") as con:
        query = (
            "select content_sha256, complexity_prompt_sha256 from store.conversation "
            "join store.turn using (sample_id) where source = ? order by 1 limit 1"
        )
        ((content, prompt),) = con.execute(query, [source]).fetchall()
    return content, prompt


def embeddings(home: SmallHome):
    (path,) = home.platform.home.lance.glob("embeddings_*.lance")
    return lancedb.connect(str(home.platform.home.lance)).open_table(path.stem)


def test_ledger_and_version_of_refused_vectors_are_made_again(home: SmallHome) -> None:
    content, _ = of_source(home, "aa")
    opened = embeddings(home)
    vector = opened.search().where(f"content_sha256 = '{content}'").to_arrow()["vector"][0].as_py()
    opened.update(where=f"content_sha256 = '{content}'", values={"vector": [x / 2 for x in vector]})
    assert not home.materialise("embeddings", "aa").success
    assert blocking_failures(home.instance, "embeddings", "aa") == ("unit_norms",)
    before = runs(home)
    curate(home)
    assert {"embeddings[aa]", "pooled_ledger[all]", f"pooled_subset[{POOLED}]"} <= again(home, before)
    assert "embeddings[bb]" not in again(home, before)
    with home.platform.warehouse.read("test") as con:
        assert con.execute("select count(*) from store.ledger_row").fetchall() == [(8,)]
        assert con.execute("select count(*), bool_or(trial) from store.selection").fetchall() == [(1, False)]
    before = runs(home)
    curate(home)
    assert again(home, before) == set()


def test_lost_results_are_computed_again_once_a_check_has_told(home: SmallHome) -> None:
    content, prompt = of_source(home, "aa")
    embeddings(home).delete(f"content_sha256 = '{content}'")
    scores = lancedb.connect(str(home.platform.home.lance)).open_table("scores")
    scores.delete(f"prompt_sha256 = '{prompt}' AND measure = 'complexity'")
    for asset, check in (("embeddings", "missing_vectors"), ("complexity_scores", "missing_pairs")):
        assert look(home, asset, check, "aa").success  # a warning
    before = runs(home)
    curate(home)
    assert {"complexity_scores[aa]", "embeddings[aa]", "scored_pool[aa]"} <= again(home, before)
    assert "embeddings[bb]" not in again(home, before)
    for asset, check in (("embeddings", "missing_vectors"), ("complexity_scores", "missing_pairs")):
        (found,) = look(home, asset, check, "aa").get_asset_check_evaluations()
        assert found.passed
    before = runs(home)
    curate(home)
    assert again(home, before) == set()


def test_what_a_model_cannot_give_is_not_asked_for_each_time(home: SmallHome, monkeypatch) -> None:
    content, _ = of_source(home, "bb")
    embeddings(home).delete(f"content_sha256 = '{content}'")
    monkeypatch.setattr("deita_assets.engines.cover.comparable", lambda halves: [False] * len(halves))
    assert home.materialise("embeddings", "bb").success
    before = runs(home)
    curate(home)
    assert "embeddings[bb]" not in again(home, before)
    monkeypatch.undo()
    assert home.materialise("embeddings", "bb").success


def test_a_check_that_was_given_no_partition_says_so(home: SmallHome) -> None:
    for asset, check in (("embeddings", "unit_norms"), ("pooled_subset", "files_intact")):
        done = look(home, asset, check, None)
        said = next(event.event_specific_data for event in done.all_events if event.is_step_failure)
        assert "looks at one partition, and its run has none" in said.user_failure_data.description
        assert "Choose a partition" in said.user_failure_data.metadata["cure"].value
    assert look(home, "serving_catalog", "stores_agree", None).success


def test_every_cure_of_a_failure_is_told_once_after_all_that_was_found() -> None:
    found = [
        Finding("one", False, "One is wrong.", "Do this.", grave=True),
        Finding("two", False, "Two is wrong.", "Do that.", grave=True),
        Finding("three", False, "Three is wrong.", "Do this.", grave=True),
        Finding("four", False, "Four is odd.", "Never mind."),
    ]
    told = []
    with pytest.raises(dg.Failure) as caught:
        told.extend(_told(dg.AssetKey("raw_pool"), found))
    assert caught.value.description == (
        "one: One is wrong. two: Two is wrong. three: Three is wrong. Do this. Do that."
    )
    assert caught.value.metadata["cure"].value == "Do this. Do that."
