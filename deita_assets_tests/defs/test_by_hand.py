"""Assets materialised one by one, as from the UI: they work in order, and say what is missing out of order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance

from deita_assets.definitions import build_defs
from deita_assets.defs.automation.staleness import INPUTS, SOURCE_ASSETS
from deita_assets.defs.platform import Platform
from deita_assets.defs.steps import staleness
from deita_assets.partitions import subset_key
from deita_assets_tests.cli.commands import TEA, chat, write_jsonl


class Hand:
    """A person at the UI of one home."""

    def __init__(self, instance: DagsterInstance, home: Path) -> None:
        self.instance = instance
        self.platform = Platform(home_path=str(home))
        self.job = build_defs(home_path=str(home)).resolve_implicit_global_asset_job_def()

    def drop(self, source: str, rows: list[object], name: str = "rows.jsonl") -> None:
        folder = self.platform.home.landing / source
        folder.mkdir(exist_ok=True)
        write_jsonl(folder / name, rows)
        self.instance.add_dynamic_partitions("source", [source])

    def materialise(self, asset: str, partition: str | None, config: dict[str, object] | None = None):
        return self.job.execute_in_process(
            instance=self.instance,
            partition_key=partition,
            asset_selection=[dg.AssetKey(asset)],
            run_config={"ops": {asset: {"config": config}}} if config else None,
            raise_on_error=False,
        )

    def failure(self, asset: str, partition: str) -> str:
        done = self.materialise(asset, partition)
        assert not done.success
        data = next(event.event_specific_data for event in done.all_events if event.is_step_failure)
        assert data.user_failure_data is not None, data.error
        assert not any(event.event_type_value == "STEP_UP_FOR_RETRY" for event in done.all_events)
        return str(data.user_failure_data.description)

    def metadata(self, asset: str, partition: str) -> dict[str, object]:
        record = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[partition]), limit=1
        ).records[0]
        return {name: value.value for name, value in record.asset_materialization.metadata.items()}

    def stale(self, source: str) -> list[str]:
        return staleness(self.instance, self.platform).stale_source_assets(source)


@pytest.fixture(scope="module")
def hand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hand]:
    with dg.instance_for_test() as instance:
        hand = Hand(instance, tmp_path_factory.mktemp("hand") / "home")
        hand.drop("tea", TEA)
        instance.add_dynamic_partitions("budget", ["2"])
        instance.add_dynamic_partitions("mixture", ["all"])
        yield hand


def test_1_out_of_order_the_failure_names_the_cure_and_is_not_retried(hand: Hand) -> None:
    assert "no pool yet" in hand.failure("complexity_scores", "tea")
    assert hand.materialise("raw_pool", "tea").success
    assert "Materialise" in hand.failure("scored_pool", "tea")
    assert "no scored pool for tea" in hand.failure("selection_ledger", "tea")
    assert "no ledger yet" in hand.failure("selected_subset", str(subset_key("source", "tea", 2)))


def test_2_in_order_every_asset_materialises_with_its_metadata(hand: Hand) -> None:
    for asset in SOURCE_ASSETS:
        assert hand.materialise(asset, "tea").success, asset
        metadata = hand.metadata(asset, "tea")
        assert metadata["dagster/partition_row_count"] in (3, 4), asset  # four rows, three distinct prompts
        assert metadata[INPUTS]
    assert hand.materialise("selected_subset", subset_key("source", "tea", 2)).success
    assert hand.metadata("selected_subset", "2|tea")["dagster/partition_row_count"] == 2
    assert hand.stale("tea") == []
    assert hand.materialise("pooled_ledger", "all").success
    assert hand.materialise("pooled_subset", subset_key("mixture", "all", 2)).success
    assert hand.materialise("serving_catalog", None).success


def test_3_again_gives_the_same_data_versions(hand: Hand) -> None:
    now = staleness(hand.instance, hand.platform)
    before = {asset: now.data_version(asset, "tea") for asset in SOURCE_ASSETS}
    for asset in SOURCE_ASSETS:
        assert hand.materialise(asset, "tea").success
    assert {asset: now.data_version(asset, "tea") for asset in SOURCE_ASSETS} == before


def test_4_a_trial_observes_and_leaves_the_ledger_alone(hand: Hand) -> None:
    before = hand.metadata("selection_ledger", "tea")
    done = hand.materialise("selection_ledger", "tea", {"threshold": 0.3, "trial_budgets": [2]})
    assert done.success
    assert hand.metadata("selection_ledger", "tea") == before
    observed = hand.instance.fetch_observations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey("selection_ledger"), asset_partitions=["tea"]), limit=1
    ).records
    told = observed[0].event_log_entry.asset_observation.metadata
    assert set(told) == {"trial"}  # Dagster lays it over the metadata of the lasting ledger
    assert told["trial"].value["departs"] == {"threshold": 0.3}
    assert told["trial"].value["rows"] == {"2": 2}
    assert hand.stale("tea") == []


def test_5_settings_and_files_make_exactly_what_they_touch_stale(hand: Hand) -> None:
    hand.platform.home.settings.write_text("[sources.tea]\nthreshold = 0.5\n", encoding="utf-8")
    assert hand.stale("tea") == ["selection_ledger"]
    hand.platform.home.settings.write_text("[sources.tea]\naggregation = 'mean'\n", encoding="utf-8")
    assert hand.stale("tea") == ["scored_pool", "selection_ledger"]
    hand.platform.home.settings.unlink()
    assert hand.stale("tea") == []
    hand.drop("tea", [chat("a new question", "a new answer")], "new.jsonl")
    assert hand.stale("tea") == list(SOURCE_ASSETS)
    (hand.platform.home.landing / "tea" / "new.jsonl").unlink()
    assert hand.stale("tea") == []


def test_6_a_smaller_ledger_is_taken_deeper_when_a_larger_budget_is_asked(hand: Hand) -> None:
    hand.instance.add_dynamic_partitions("budget", ["3"])
    ledger = hand.metadata("selection_ledger", "tea")["ledger_id"]
    assert hand.materialise("selected_subset", subset_key("source", "tea", 3)).success
    metadata = hand.metadata("selected_subset", "3|tea")
    assert metadata["dagster/partition_row_count"] == 3
    assert metadata["ledger_id"] == ledger


def test_7_wrong_run_config_is_refused_with_its_reason(hand: Hand) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError):
        hand.materialise("selection_ledger", "tea", {"treshold": 0.3})
    with pytest.raises(dg.DagsterInvalidConfigError, match="not in enum type Aggregation got median"):
        hand.materialise("selection_ledger", "tea", {"aggregation": "median"})
