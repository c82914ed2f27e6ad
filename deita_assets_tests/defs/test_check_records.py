"""What automation asks of check records: which blocking checks stand in the way of a partition."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluation,
    AssetCheckEvaluationPlanned,
)
from dagster._core.events import DagsterEvent, DagsterEventType
from dagster._core.test_utils import create_run_for_test

from deita_assets.definitions import defs
from deita_assets.defs.check_records import BLOCKING, blocking_failures

ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def tell(
    instance: dg.DagsterInstance,
    check: str,
    partition: str | None,
    passed: bool,
    severity=ERROR,
    asset="raw_pool",
) -> None:
    """A finding of a run of its own."""
    found = AssetCheckEvaluation(
        asset_key=dg.AssetKey(asset), check_name=check, passed=passed, severity=severity, metadata={},
        blocking=True, partition=partition,
    )  # fmt: skip
    report(instance, DagsterEventType.ASSET_CHECK_EVALUATION, found)


def report(instance: dg.DagsterInstance, kind: DagsterEventType, what) -> None:
    event = DagsterEvent(kind.value, job_name="later", event_specific_data=what)
    instance.report_dagster_event(event, create_run_for_test(instance).run_id)


def plan(instance: dg.DagsterInstance, check: str, partition: str) -> None:
    """A run that will look at a partition, and did not yet."""
    subset = dg.StaticPartitionsDefinition([partition]).subset_with_all_partitions()
    planned = AssetCheckEvaluationPlanned(
        asset_key=dg.AssetKey("raw_pool"), check_name=check, partitions_subset=subset
    )
    report(instance, DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED, planned)


def test_nothing_stands_in_the_way_before_anything_was_looked_at(instance):
    assert blocking_failures(instance, "raw_pool", "tea") == ()
    assert blocking_failures(instance, "serving_catalog", None) == ()
    assert blocking_failures(instance, "store_upkeep", None) == ()


def test_the_latest_finding_of_the_partition_counts(instance):
    tell(instance, "row_accounting", "tea", passed=False)
    tell(instance, "unique_keys", "tea", passed=True)
    tell(instance, "unique_keys", "milk", passed=True)
    assert blocking_failures(instance, "raw_pool", "tea") == ("row_accounting",)
    assert blocking_failures(instance, "raw_pool", "milk") == ()
    tell(instance, "unique_keys", "tea", passed=False)
    assert blocking_failures(instance, "raw_pool", "tea") == ("unique_keys", "row_accounting")
    tell(instance, "row_accounting", "tea", passed=True)
    assert blocking_failures(instance, "raw_pool", "tea") == ("unique_keys",)


def test_warnings_and_other_checks_stand_in_nobodys_way(instance):
    tell(instance, "licence_present", "tea", passed=False, severity=WARN)
    tell(instance, "row_accounting", "tea", passed=False, severity=WARN)
    tell(instance, "unheard_of", "tea", passed=False)
    assert blocking_failures(instance, "raw_pool", "tea") == ()


def test_an_asset_without_partitions(instance):
    tell(instance, "stores_agree", None, passed=False, asset="serving_catalog")
    assert blocking_failures(instance, "serving_catalog", None) == ("stores_agree",)


def test_a_planned_look_hides_nothing(instance):
    tell(instance, "row_accounting", "tea", passed=False)
    plan(instance, "row_accounting", "tea")
    plan(instance, "unique_keys", "tea")
    assert blocking_failures(instance, "raw_pool", "tea") == ("row_accounting",)
    tell(instance, "row_accounting", "tea", passed=True)
    assert blocking_failures(instance, "raw_pool", "tea") == ()


def test_the_names_are_those_of_the_blocking_checks_of_the_graph():
    graph = defs.resolve_asset_graph()
    found: dict[str, set[str]] = {}
    for key in graph.asset_check_keys:
        spec = graph.get_check_spec(key)
        if spec.blocking:
            found.setdefault(key.asset_key.to_user_string(), set()).add(key.name)
    assert found == {asset: set(names) for asset, names in BLOCKING.items()}


def test_checks_have_the_partitions_of_their_asset_and_a_description():
    graph = defs.resolve_asset_graph()
    assert len(graph.asset_check_keys) == 3 + 6 + 6 + 3 + 2 + 3 + 3 + 4 + 4 + 1
    for key in graph.asset_check_keys:
        spec = graph.get_check_spec(key)
        assert spec.partitions_def == graph.get(key.asset_key).partitions_def, key
        assert spec.description
