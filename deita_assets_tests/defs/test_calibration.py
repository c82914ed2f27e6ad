"""The calibration assets and the drop-rate checks, materialised as from the UI and as `curate` does."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status

from deita_assets.core.drop_rate import Drops
from deita_assets.definitions import build_defs
from deita_assets.defs.automation.curation import Curation
from deita_assets.defs.automation.staleness import SOURCE_ASSETS
from deita_assets.defs.steps import staleness
from deita_assets.engines.checks import ledgers as ledger_checks
from deita_assets_tests.cli.commands import TEA, chat
from deita_assets_tests.defs.test_by_hand import Hand

HOSTILE = "<img src=x onerror=alert(1)> | [a](javascript:b) **c**"


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hand]:
    with pytest.MonkeyPatch.context() as patch, dg.instance_for_test() as instance:
        patch.setenv(
            "DEITA_SCORER__NAME", "heuristic"
        )  # the pairs are the embedder's; scores only order the rows
        hand = Hand(instance, tmp_path_factory.mktemp("calibration") / "home")
        hand.drop("tea", [*TEA, chat(f"Steep green tea for how long? {HOSTILE}", "Two to three minutes.")])
        instance.add_dynamic_partitions("mixture", ["all"])
        for asset in SOURCE_ASSETS[:-1]:
            assert hand.materialise(asset, "tea").success
        yield hand


def history(hand: Hand, asset: str) -> list[tuple[Status, str | None]]:
    """(status, partition) of every record of the check of an asset, newest first."""
    key = dg.AssetCheckKey(dg.AssetKey(asset), "drop_rate")
    records = hand.instance.event_log_storage.get_asset_check_execution_history(key, limit=50)
    return [(record.status, record.partition) for record in records]


@pytest.mark.parametrize(
    ("asset", "scope"), [("threshold_calibration", "tea"), ("pooled_calibration", "all")]
)
def test_a_calibration_shows_its_result(hand: Hand, asset: str, scope: str) -> None:
    assert hand.materialise(asset, scope).success
    shown = hand.metadata(asset, scope)
    assert shown["dagster/partition_row_count"] == 5
    assert shown["threshold"] == 0.9
    assert 0.5 <= shown["recommended_threshold"] <= 1
    assert "pairs" in str(shown["reason"])
    assert shown["drop_share"] == 0.2, shown  # one of the five
    assert str(shown["plot"]).startswith(
        "![rows kept at each similarity threshold, of 5](<data:image/svg+xml,"
    )
    assert "| 0.9 | 4 | 20.0% |" in str(shown["curve"])
    assert "| 50 % | 0." in str(shown["nearest_neighbour_similarity"])
    assert "| 0.5 to 0.55 |" in str(shown["bands"])
    assert "green tea" in str(shown["pairs_above_threshold"])
    now = staleness(hand.instance, hand.platform)
    assert now.data_version(asset, scope) == shown["calibration_id"]
    assert not now.is_stale(asset, scope)


def test_rows_are_shown_as_text_and_only_where_they_may_be(hand: Hand) -> None:
    below = hand.metadata("threshold_calibration", "tea")["pairs_below_threshold"]
    assert isinstance(below, dg.TableMetadataValue)  # whose cells are text, whatever stands in them
    assert any(HOSTILE in str(cell) for record in below.records for cell in record.data.values())
    hand.platform.home.settings.write_text("sample_rows_in_ui = false\n", encoding="utf-8")
    assert hand.materialise("threshold_calibration", "tea").success
    shown = hand.metadata("threshold_calibration", "tea")
    assert "tea:" in str(shown["pairs_below_threshold"])
    assert not any("steep" in str(value).lower() for value in shown.values())
    hand.platform.home.settings.unlink()


def test_a_changed_threshold_makes_it_stale_and_gives_another_result(hand: Hand) -> None:
    first = hand.metadata("threshold_calibration", "tea")["calibration_id"]
    hand.platform.home.settings.write_text("[sources.tea]\nthreshold = 0.123\n", encoding="utf-8")
    assert staleness(hand.instance, hand.platform).is_stale("threshold_calibration", "tea")
    assert hand.materialise("threshold_calibration", "tea", {"rows": 4}).success
    shown = hand.metadata("threshold_calibration", "tea")
    assert (shown["threshold"], shown["dagster/partition_row_count"], shown["selectable"]) == (0.123, 4, 5)
    assert "| 0.123 |" in str(shown["curve"])
    assert shown["calibration_id"] != first
    hand.platform.home.settings.unlink()


def test_a_ledger_runs_its_check_for_its_own_partition(hand: Hand) -> None:
    assert hand.materialise("selection_ledger", "tea").success
    assert history(hand, "selection_ledger") == [(Status.SUCCEEDED, "tea")]
    assert hand.materialise("pooled_ledger", "all").success
    assert history(hand, "pooled_ledger") == [(Status.SUCCEEDED, "all")]


def test_a_remarkable_ledger_warns_with_the_command_to_run(
    hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_checks.calibrations, "drops", lambda *_: Drops(2000, 3, 40))
    done = hand.materialise("selection_ledger", "tea")
    assert done.success  # a warning stops nothing
    (found,) = [one for one in done.get_asset_check_evaluations() if one.check_name == "drop_rate"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "`deita-assets calibrate tea`" in str(found.description)
    assert {name: value.value for name, value in found.metadata.items()} == {
        "kept": 2000,
        "dropped": 3,
        "near_threshold": 40,
    }
    assert history(hand, "selection_ledger")[0] == (Status.FAILED, "tea")


def test_a_trial_leaves_no_trace_in_the_check(hand: Hand) -> None:
    before = history(hand, "selection_ledger")
    definitions = build_defs(home_path=hand.platform.home_path)
    curation = Curation(definitions, hand.instance, hand.platform)
    shown = curation.trial("source", "tea", {"threshold": 0.3})
    assert shown["departs"] == {"threshold": 0.3}
    assert history(hand, "selection_ledger") == before


def test_a_trial_from_the_launchpad_is_not_stopped_by_the_check(hand: Hand) -> None:
    done = hand.materialise("selection_ledger", "tea", {"threshold": 0.3})
    assert done.success
    assert list(done.get_asset_check_evaluations()) == []


def test_a_curation_calibrates(hand: Hand) -> None:
    definitions = build_defs(home_path=hand.platform.home_path)
    curation = Curation(definitions, hand.instance, hand.platform)
    assert (
        curation.calibration("source", "tea", 3)
        == hand.metadata("threshold_calibration", "tea")["calibration_id"]
    )
    assert hand.metadata("threshold_calibration", "tea")["dagster/partition_row_count"] == 3


def test_what_is_not_scored_fails_with_the_cure(hand: Hand) -> None:
    hand.drop("bare", TEA)
    assert hand.materialise("raw_pool", "bare").success
    assert "no scored pool for bare" in hand.failure("threshold_calibration", "bare")
