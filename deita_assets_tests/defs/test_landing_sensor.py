"""`landing_sensor`: files that stopped changing become partitions and runs; nothing is requested twice or lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance

from deita_assets.definitions import build_defs
from deita_assets.defs.automation.sensors import landing_sensor
from deita_assets.defs.platform import Platform
from deita_assets_tests.cli.commands import chat, write_jsonl


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with dg.instance_for_test() as made:
        yield made


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    platform = Platform(home_path=str(tmp_path / "home"))
    platform.home  # noqa: B018 - makes the folders
    return platform


class Ticks:
    """Evaluates the sensor as the daemon does: the cursor of one tick is the input of the next."""

    def __init__(self, instance: DagsterInstance, platform: Platform) -> None:
        self.instance, self.platform = instance, platform
        self.cursor: str | None = None
        self.run_keys: set[str] = set()

    def tick(self) -> list[str]:
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"platform": self.platform}
        )
        result = landing_sensor(context)
        self.cursor = result.cursor
        for request in result.dynamic_partitions_requests or []:
            if request.partition_keys:
                self.instance.add_dynamic_partitions(
                    request.partitions_def_name, list(request.partition_keys)
                )
        fresh = [r for r in result.run_requests or [] if r.run_key not in self.run_keys]
        self.run_keys.update(str(r.run_key) for r in fresh)
        return [str(r.partition_key) for r in fresh]


def _ingest(instance: DagsterInstance, platform: Platform, source: str) -> None:
    definitions = build_defs(home_path=platform.home_path)
    done = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance, partition_key=source, asset_selection=[dg.AssetKey("raw_pool")]
    )
    assert done.success


def _drop(platform: Platform, source: str, name: str = "rows.jsonl", answer: str = "an answer") -> Path:
    folder = platform.home.landing / source
    folder.mkdir(exist_ok=True)
    return write_jsonl(folder / name, [chat("a question", answer)])


def test_a_new_folder_becomes_a_partition_and_a_run_once_its_files_stand_still(instance, platform) -> None:
    ticks = Ticks(instance, platform)
    assert ticks.tick() == []
    _drop(platform, "tea")
    assert ticks.tick() == [], "seen for the first time: it may still be growing"
    _drop(platform, "tea", answer="a longer answer")
    assert ticks.tick() == [], "it grew"
    assert ticks.tick() == ["tea"]
    assert instance.get_dynamic_partitions("source") == ["tea"]
    assert instance.get_dynamic_partitions("mixture") == ["all"]
    assert ticks.tick() == [], "the request stands"


def test_an_ingested_source_is_left_alone_until_its_files_change(instance, platform) -> None:
    ticks = Ticks(instance, platform)
    _drop(platform, "tea")
    ticks.tick()
    assert ticks.tick() == ["tea"]
    _ingest(instance, platform, "tea")
    assert ticks.tick() == []
    _drop(platform, "tea", "more.jsonl", "another answer")
    ticks.tick()
    assert ticks.tick() == ["tea"]


def test_unfinished_hidden_and_wrongly_named_things_are_ignored(instance, platform) -> None:
    ticks = Ticks(instance, platform)
    _drop(platform, "tea", "rows.jsonl.part")
    _drop(platform, "tea", ".rows.jsonl")
    (platform.home.landing / "Not A Name").mkdir()
    (platform.home.landing / "empty").mkdir()
    assert [ticks.tick(), ticks.tick(), ticks.tick()] == [[], [], []]
    assert instance.get_dynamic_partitions("source") == []


def test_budgets_and_mixtures_of_the_settings_become_partitions(instance, platform) -> None:
    platform.home.settings.write_text(
        "budgets = [100, 9]\n[mixtures.both]\nsources = ['tea', 'maths']\nbudgets = [50]\n", encoding="utf-8"
    )
    Ticks(instance, platform).tick()
    assert list(instance.get_dynamic_partitions("budget")) == ["9", "50", "100"]
    assert sorted(instance.get_dynamic_partitions("mixture")) == ["all", "both"]
