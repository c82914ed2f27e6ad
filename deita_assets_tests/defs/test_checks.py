"""Checks as runs make them: with the partition of their asset, blocking what comes after, and cured by the next run."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import lancedb
import pytest

from deita_assets.definitions import build_defs
from deita_assets.defs.automation.curation import Curation, RunFailedError
from deita_assets.defs.check_records import BLOCKING, blocking_failures
from deita_assets.stores.vectors import ScoreTable
from deita_assets_tests.defs.small_home import SmallHome, key, rows, small_home

ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


def latest(home: SmallHome, asset: str, check: str, partition: str | None) -> dg.AssetCheckEvaluation:
    records = home.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey(asset), check), limit=100
    )
    found = [one.evaluation for one in records if one.evaluation and one.partition == partition]
    assert isinstance(found[0], dg.AssetCheckEvaluation)
    return found[0]


def test_a_curation_looks_at_all_it_made_and_finds_it_sound(settled: SmallHome) -> None:
    made = {
        "raw_pool": ["aa", "bb"],
        "complexity_scores": ["aa", "bb"],
        "quality_scores": ["aa", "bb"],
        "embeddings": ["aa", "bb"],
        "scored_pool": ["aa", "bb"],
        "selection_ledger": ["aa"],
        "pooled_ledger": ["all"],
        "selected_subset": [key("source", "aa", 2)],
        "pooled_subset": [key("mixture", "all", 3)],
        "serving_catalog": [None],
    }
    assert set(made) == set(BLOCKING)
    for asset, partitions in made.items():
        for partition in partitions:
            assert blocking_failures(settled.instance, asset, partition) == ()
            for check in BLOCKING[asset]:
                found = latest(settled, asset, check, partition)
                assert (found.passed, found.severity) == (True, ERROR)
                assert all(isinstance(value.value, int | float) for value in found.metadata.values())
    licence = latest(
        settled, "raw_pool", "licence_present", "bb"
    )  # a warning, and everything after it was made
    assert (licence.passed, licence.severity) == (False, WARN)
    assert "deita.toml" in str(licence.description)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallHome]:
    """Source `aa` of six rows, scored; each test leaves it sound."""
    with small_home(tmp_path_factory.mktemp("checks")) as made:
        made.drop("aa", rows("aa", 6))
        curation(made).source("aa")
        yield made


def curation(home: SmallHome) -> Curation:
    return Curation(build_defs(home_path=str(home.platform.home.root)), home.instance, home.platform)


def run_job(home: SmallHome) -> dg.ExecuteInProcessResult:
    job = build_defs(home_path=str(home.platform.home.root)).resolve_job_def("curate_source")
    return job.execute_in_process(instance=home.instance, partition_key="aa", raise_on_error=False)


def executed(done: dg.ExecuteInProcessResult) -> set[str]:
    return {str(event.step_key) for event in done.all_events if event.event_type_value == "STEP_START"}


def test_a_run_stops_below_a_failed_check_and_curate_says_why_until_it_is_cured(home: SmallHome) -> None:
    with home.platform.warehouse.write("damage") as con:
        ((sample_id,),) = con.execute("select min(sample_id) from store.occurrence").fetchall()
        con.execute("update store.occurrence set sample_id = 'aa:0' where sample_id = ?", [sample_id])
    done = run_job(home)
    assert not done.success
    assert executed(done) == {"raw_pool", "raw_pool_checks"}
    assert blocking_failures(home.instance, "raw_pool", "aa") == ("row_accounting",)
    assert blocking_failures(home.instance, "scored_pool", "aa") == ()
    found = latest(home, "raw_pool", "row_accounting", "aa")
    assert (found.passed, found.severity, found.blocking) == (False, ERROR, True)
    assert found.metadata["examples"].value == ["aa:0", sample_id]
    for _ in range(2):  # nothing is stale by its inputs, and still it is not passed over
        with pytest.raises(RunFailedError) as caught:
            curation(home).source("aa")
        assert "raw_pool_checks[aa]: row_accounting: aa: 6 rows read" in caught.value.message
        assert "`deita-assets withdraw aa`" in caught.value.cure
        assert "`deita-assets withdraw aa`" not in caught.value.message
    with home.platform.warehouse.write("cure") as con:
        con.execute("update store.occurrence set sample_id = ? where sample_id = 'aa:0'", [sample_id])
    curation(home).source("aa")
    assert blocking_failures(home.instance, "raw_pool", "aa") == ()


def test_curate_makes_refused_scores_again_and_what_was_made_of_them(home: SmallHome) -> None:
    before = home.platform.warehouse
    with before.read("scores") as con:
        sound = con.execute("select * from store.scored_turn order by all").fetchall()
    scores = lancedb.connect(str(home.platform.home.lance)).open_table("scores")
    first = scores.search().where("measure = 'quality'").limit(1).to_arrow()
    scores.update(where=f"score_key = '{first['score_key'][0].as_py()}'", values={"score": 7.0})
    done = home.materialise("quality_scores", "aa")
    assert not done.success
    assert blocking_failures(home.instance, "quality_scores", "aa") == ("finite_scores",)
    said = next(event.event_specific_data for event in done.all_events if event.is_step_failure)
    assert "1 turn scored outside 1 to 6" in said.user_failure_data.description
    scored_before = home.run_ids("scored_pool", "aa")
    curation(home).source("aa")
    assert blocking_failures(home.instance, "quality_scores", "aa") == ()
    assert (
        len(home.run_ids("scored_pool", "aa")) == len(scored_before) + 1
    )  # though its data version is the same
    with before.read("scores") as con:
        assert con.execute("select * from store.scored_turn order by all").fetchall() == sound
        scorer = con.execute("select fingerprint from store.coverage where step = 'quality'").fetchall()[0][0]
    assert len(ScoreTable(home.platform.home).results("quality", scorer)) == 6


def test_one_check_can_be_run_alone(home: SmallHome) -> None:
    wanted = dg.AssetCheckKey(dg.AssetKey("raw_pool"), "unique_keys")
    job = home.job.get_subset(asset_selection=set(), asset_check_selection={wanted})
    done = job.execute_in_process(instance=home.instance, tags={"dagster/partition": "aa"})
    assert [one.check_name for one in done.get_asset_check_evaluations()] == ["unique_keys"]


def test_a_check_of_what_was_never_made_fails_with_the_way_out(home: SmallHome) -> None:
    home.instance.add_dynamic_partitions("source", ["never"])
    wanted = {dg.AssetCheckKey(dg.AssetKey("embeddings"), name) for name in ("unit_norms", "unique_keys")}
    job = home.job.get_subset(asset_selection=set(), asset_check_selection=wanted)
    done = job.execute_in_process(
        instance=home.instance, tags={"dagster/partition": "never"}, raise_on_error=False
    )
    assert not done.success
    said = next(event.event_specific_data for event in done.all_events if event.is_step_failure)
    assert "has no embeddings yet" in said.user_failure_data.description
    assert blocking_failures(home.instance, "embeddings", "never") == ()
