"""What was materialised last, and what is being worked on, as automation reads them from an instance."""

from __future__ import annotations

import random
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster import DagsterInstance, DagsterRunStatus
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill

from deita_assets.definitions import build_defs
from deita_assets.defs.automation import attempts, records, staleness
from deita_assets.defs.automation.attempts import newest_ended
from deita_assets.defs.automation.live_runs import live_runs
from deita_assets.defs.automation.plan import Request
from deita_assets.defs.automation.present import Work
from deita_assets.defs.automation.records import INPUTS, LatestRecords, StoredRecords
from deita_assets.defs.automation.requests import run_request
from deita_assets.settings import DeitaSettings
from deita_assets_tests.defs.daemon import ORIGIN

PARTITIONS = [f"s{at}" for at in range(5)]


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with dg.instance_for_test() as made:
        yield made


@pytest.fixture(scope="module")
def job() -> dg.JobDefinition:
    return build_defs().resolve_implicit_global_asset_job_def()


def put(instance: DagsterInstance, asset: str, partition: str | None, inputs: str, rows: int) -> None:
    instance.report_runless_asset_event(
        dg.AssetMaterialization(
            asset,
            partition=partition,
            metadata={INPUTS: inputs, "dagster/partition_row_count": rows, "withheld": rows // 2},
            tags={"dagster/data_version": f"v{inputs}"},
        )
    )


def test_all_partitions_at_once_are_what_one_by_one_are(instance) -> None:
    chance = random.Random(3)
    for at in range(60):
        put(instance, chance.choice(["raw_pool", "scored_pool"]), chance.choice(PARTITIONS), str(at), at)
        if at % 20 == 0:  # what is kept in this process does not grow old
            LatestRecords(instance).of("raw_pool")
    latest, stored = LatestRecords(instance), StoredRecords(instance)

    for asset in ("raw_pool", "scored_pool", "embeddings"):
        for partition in [*PARTITIONS, "never"]:
            assert latest.latest(asset, partition) == stored.latest(asset, partition)
    assert latest.of("raw_pool").keys() <= set(PARTITIONS)


def test_an_asset_without_partitions(instance) -> None:
    assert LatestRecords(instance).latest("serving_catalog", None) is None
    put(instance, "serving_catalog", None, "1", 4)
    made = LatestRecords(instance).latest("serving_catalog", None)
    assert (made.inputs, made.data_version, made.rows, made.withheld) == ("1", "v1", 4, 2)


def _run(instance, job, status, assets=None, **tags: str) -> dg.DagsterRun:
    selected = frozenset(dg.AssetKey(asset) for asset in assets) if assets else None
    return instance.create_run_for_job(
        job.get_subset(asset_selection=set(selected)) if selected else job,
        status=status,
        asset_selection=selected,
        tags=tags,
        remote_job_origin=ORIGIN if status is DagsterRunStatus.QUEUED else None,
    )


@pytest.mark.parametrize("status", ["QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"])
def test_a_run_that_has_not_ended_covers_what_it_selects(instance, job, status) -> None:
    run = _run(instance, job, DagsterRunStatus[status], ["raw_pool"], **{"dagster/partition": "aa"})
    live = live_runs(instance)

    assert live.covering("raw_pool", "aa") == f"run {run.run_id[:8]}"
    assert live.covering("raw_pool", "bb") is None
    assert live.covering("scored_pool", "aa") is None
    assert live


@pytest.mark.parametrize("status", ["SUCCESS", "FAILURE", "CANCELED"])
def test_a_run_that_ended_covers_nothing(instance, job, status) -> None:
    _run(instance, job, DagsterRunStatus[status], ["raw_pool"], **{"dagster/partition": "aa"})
    assert not live_runs(instance)


def test_a_run_without_a_selection_covers_all_assets_of_its_job(instance) -> None:
    definitions = build_defs()
    _run(
        instance,
        definitions.resolve_job_def("curate_source"),
        DagsterRunStatus.QUEUED,
        **{"dagster/partition": "aa"},
    )
    live = live_runs(instance)

    assert live.covering("raw_pool", "aa")
    assert live.covering("selection_ledger", "aa")
    assert live.covering("pooled_ledger", "aa") is None


def test_an_open_backfill_covers_its_assets_until_it_ends(instance) -> None:
    backfill = PartitionBackfill(
        "b1", BulkActionStatus.REQUESTED, False, {}, 0.0, asset_selection=[dg.AssetKey("selected_subset")]
    )
    instance.add_backfill(backfill)
    assert live_runs(instance).covering("selected_subset", "3|aa") == "backfill b1"
    assert live_runs(instance).covering("pooled_subset", "3|all") is None

    instance.update_backfill(backfill.with_status(BulkActionStatus.COMPLETED_SUCCESS))
    assert not live_runs(instance)


def test_the_newest_ended_run_of_the_same_work_counts(instance, job) -> None:
    mine = {"dagster/partition": "aa"}
    asked = {**mine, "deita/inputs": "d1", "deita/attempt": "2"}
    assert newest_ended(instance, ["scored_pool"], "aa", "d1") is None
    failed = _run(instance, job, DagsterRunStatus.FAILURE, ["scored_pool", "embeddings"], **asked)
    _run(instance, job, DagsterRunStatus.FAILURE, ["raw_pool"], **mine)
    _run(instance, job, DagsterRunStatus.FAILURE, ["scored_pool"], **{**asked, "dagster/partition": "bb"})

    found = newest_ended(instance, ["scored_pool"], "aa", "d1")
    assert (found.run_id, found.inputs, found.attempt, found.succeeded) == (failed.run_id, "d1", 2, False)


def test_a_run_that_the_ui_started_again_is_one_by_hand(instance, job) -> None:
    again = {"dagster/partition": "aa", "deita/inputs": "d1", "deita/attempt": "5"}
    _run(instance, job, DagsterRunStatus.FAILURE, ["scored_pool"], **{**again, "dagster/parent_run_id": "x"})
    found = newest_ended(instance, ["scored_pool"], "aa", "d1")
    assert (found.inputs, found.attempt) == (None, 0)


@pytest.mark.parametrize("others", [0, 2, 3, 5])
def test_what_was_tried_is_not_forgotten_among_many_runs_of_the_partition(
    instance, job, others, monkeypatch
) -> None:
    monkeypatch.setattr(attempts, "_LOOKED_THROUGH", 3)
    mine = {"dagster/partition": "aa"}
    asked = {**mine, "deita/inputs": "d1", "deita/attempt": "5"}
    failed = _run(instance, job, DagsterRunStatus.FAILURE, ["scored_pool"], **asked)
    for _ in range(others):
        _run(instance, job, DagsterRunStatus.SUCCESS, ["raw_pool"], **mine)
    _run(instance, job, DagsterRunStatus.FAILURE, ["scored_pool"], **{**asked, "dagster/partition": "bb"})

    last = newest_ended(instance, ["scored_pool"], "aa", "d1")
    assert (last.run_id, last.attempt) == (failed.run_id, 5)
    first = Request(Work(("scored_pool",), "aa", "d1"), attempt=1)
    again = Request(first.work, attempt=1, after=last.run_id)
    assert run_request(first).run_key != run_request(again).run_key


def test_a_full_memory_of_records_gives_way_also_while_another_thread_reads(instance, monkeypatch) -> None:
    for at in range(3):
        put(instance, "raw_pool", f"s{at}", str(at), at)
    LatestRecords(instance).of("raw_pool")
    put(instance, "raw_pool", "s3", "3", 3)
    fetched = LatestRecords._events

    def as_another_reads(self, asset, ids):
        monkeypatch.setattr(LatestRecords, "_events", fetched)
        with monkeypatch.context() as full:
            full.setattr(records, "_MOST_READ", 0)
            put(instance, "scored_pool", "s0", "0", 0)
            assert set(LatestRecords(instance).of("scored_pool")) == {"s0"}
        yield from fetched(self, asset, ids)

    monkeypatch.setattr(LatestRecords, "_events", as_another_reads)
    assert set(LatestRecords(instance).of("raw_pool")) == {"s0", "s1", "s2", "s3"}


def test_an_upgraded_package_is_seen_by_a_process_that_goes_on(instance, home, monkeypatch) -> None:
    """Its runs are new processes, which load and record the new one."""
    monkeypatch.setattr(staleness, "version", lambda package: "1")
    before = _staleness(instance, home).inputs("quality_scores", "aa")
    monkeypatch.setattr(staleness, "version", lambda package: "2")
    assert _staleness(instance, home).inputs("quality_scores", "aa") != before


def _staleness(instance, home) -> staleness.Staleness:
    return staleness.Staleness(instance, home, DeitaSettings(), list)
