"""Freshness: the published catalog alone, judged as Dagster's daemon judges it."""

from __future__ import annotations

import asyncio

import dagster as dg
import pytest
from dagster._core.definitions import freshness_evaluator
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.loader import LoadingContextForTest

from deita_assets.definitions import defs
from deita_assets.defs.serving.nightly import nightly_catalog
from deita_assets_tests.defs.small_home import SmallHome

HOUR = 3600.0


def test_no_other_asset_is_judged_by_its_age() -> None:
    graph = defs.resolve_asset_graph()
    judged = {node.key.to_user_string() for node in graph.asset_nodes if node.freshness_policy is not None}
    assert judged == {"serving_catalog"}


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (1, FreshnessState.PASS),
        (35, FreshnessState.PASS),
        (37, FreshnessState.WARN),
        (200, FreshnessState.FAIL),
    ],
)
def test_a_catalog_grows_old(
    settled: SmallHome, monkeypatch: pytest.MonkeyPatch, hours: int, expected: FreshnessState
) -> None:
    graph = defs.resolve_asset_graph()
    (node,) = [node for node in graph.asset_nodes if node.freshness_policy is not None]
    made = settled.instance.fetch_materializations(node.key, limit=1).records[0].timestamp
    monkeypatch.setattr(freshness_evaluator, "get_current_timestamp", lambda: made + hours * HOUR)
    evaluator = freshness_evaluator.FRESHNESS_EVALUATORS_BY_POLICY_TYPE[type(node.freshness_policy)]()
    context = LoadingContextForTest(settled.instance)
    assert asyncio.run(evaluator.evaluate_freshness(context, node)) is expected


def test_the_catalog_is_published_each_night_once_there_is_one(settled: SmallHome) -> None:
    """Whatever changed: so a quiet home keeps a young catalog."""
    with dg.instance_for_test() as bare, dg.build_schedule_context(instance=bare) as context:
        assert isinstance(nightly_catalog(context), dg.SkipReason)
    with dg.build_schedule_context(instance=settled.instance) as context:
        assert isinstance(nightly_catalog(context), dg.RunRequest)
    assert nightly_catalog.default_status is dg.DefaultScheduleStatus.RUNNING
    assert "serving_catalog" in str(
        defs.resolve_job_def(nightly_catalog.job_name).asset_layer.selected_asset_keys
    )
