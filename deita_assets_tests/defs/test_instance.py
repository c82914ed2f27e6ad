"""The Dagster instance of a home: made once even by racing processes, with the settings that its file claims."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster import DagsterInstance
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.op_concurrency_limits_counter import GlobalOpConcurrencyLimitsCounter
from dagster._core.scheduler.instigation import TickStatus

from deita_assets.definitions import ASSETS
from deita_assets.defs.instance import DAGSTER_YAML, DEVICE_POOL, missing_settings, open_instance
from deita_assets.stores.home import Home
from deita_assets_tests.cli.commands import environment

_OPEN = (
    "import sys\n"
    "from deita_assets.defs.instance import open_instance\n"
    "from deita_assets.stores.home import Home\n"
    "instance = open_instance(Home.at(sys.argv[1]))\n"
    "instance.add_dynamic_partitions('source', [sys.argv[2]])\n"
)


def test_processes_that_open_a_fresh_home_together_share_one_sound_instance(tmp_path: Path) -> None:
    names = ["one", "two", "three"]
    racing = [
        subprocess.Popen([sys.executable, "-c", _OPEN, str(tmp_path / "home"), name], env=environment())
        for name in names
    ]
    assert [process.wait(timeout=120) for process in racing] == [0, 0, 0]
    instance = DagsterInstance.from_config(str(tmp_path / "home" / "dagster"))
    assert sorted(instance.get_dynamic_partitions("source")) == sorted(names)


@dg.op
def nothing() -> None: ...


@dg.job
def idle_job() -> None:
    nothing()


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> DagsterInstance:
    """The instance of a new home."""
    folder = tmp_path_factory.mktemp("shipped")
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("DAGSTER_HOME", "DEITA_HOME"):
            patch.setenv(variable, "")  # taken back afterwards: opening sets both
        return open_instance(Home(folder / "home"))


def test_every_setting_of_the_shipped_file_reaches_dagster(shipped: DagsterInstance) -> None:
    assert not shipped.telemetry_enabled
    assert not shipped.nux_enabled  # no dialog before the first look
    assert shipped.run_monitoring_enabled
    assert shipped.run_monitoring_start_timeout_seconds == 300
    assert shipped.run_monitoring_cancel_timeout_seconds == 180
    assert shipped.run_monitoring_max_runtime_seconds == 0
    assert shipped.run_monitoring_poll_interval_seconds == 60
    assert shipped.run_monitoring_settings["free_slots_after_run_end_seconds"] == 120
    chosen = shipped.get_concurrency_config()
    assert chosen.run_queue_config is not None
    assert chosen.run_queue_config.max_concurrent_runs == 2
    assert chosen.run_queue_config.max_user_code_failure_retries == 5
    assert chosen.run_queue_config.user_code_failure_retry_delay == 20
    assert chosen.pool_config.pool_granularity is not None
    assert (chosen.pool_config.pool_granularity.value, chosen.pool_config.default_pool_limit) == ("run", 1)
    for kind in ("SCHEDULE", "SENSOR", "AUTO_MATERIALIZE"):
        days = shipped.get_tick_retention_settings(InstigatorType[kind])
        skipped = 7 if kind == "SCHEDULE" else 1
        kept = {
            TickStatus.SKIPPED: skipped, TickStatus.SUCCESS: 30, TickStatus.FAILURE: 30, TickStatus.STARTED: 7,
        }  # fmt: skip
        assert days == kept


def test_a_home_keeps_the_file_that_people_edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DAGSTER_HOME", "DEITA_HOME"):
        monkeypatch.setenv(variable, "")
    home = Home(tmp_path / "home").create()
    edited = "concurrency:\n  runs:\n    max_concurrent_runs: 7\n"
    (home.dagster / "dagster.yaml").write_text(edited, encoding="utf-8")
    config = open_instance(home).get_concurrency_config()
    assert config.run_queue_config is not None
    assert config.run_queue_config.max_concurrent_runs == 7
    assert (home.dagster / "dagster.yaml").read_text(encoding="utf-8") == edited
    missing = missing_settings(home)
    assert {"concurrency.pools", "telemetry.enabled", "run_monitoring.enabled"} <= set(missing)
    assert "concurrency.runs" not in missing
    (home.dagster / "dagster.yaml").write_text(DAGSTER_YAML, encoding="utf-8")
    assert missing_settings(home) == []


def test_steps_that_hold_a_model_share_a_pool_and_no_others() -> None:
    pooled = {asset.key.to_user_string() for asset in ASSETS if asset.op.pool == "device"}
    assert pooled == {"complexity_scores", "quality_scores", "embeddings", "graded_features"}
    assert {asset.op.pool for asset in ASSETS} == {"device", None}


@dg.op(pool=DEVICE_POOL)
def hold_a_model() -> None: ...


@dg.job
def model_job() -> None:
    hold_a_model()


@pytest.mark.parametrize("limit", [1, 2])
def test_the_limit_of_the_pools_is_how_many_runs_with_a_model_leave_the_queue(limit: int) -> None:
    """Asked as the daemon asks before it lets a run in."""
    settings = yaml.safe_load(DAGSTER_YAML)
    settings["concurrency"]["pools"]["default_limit"] = limit
    with dg.instance_for_test(overrides=settings) as instance:
        storage, config = instance.event_log_storage, instance.get_concurrency_config()
        storage.initialize_concurrency_limit_to_default(DEVICE_POOL)
        instance.create_run_for_job(model_job, status=dg.DagsterRunStatus.STARTED)
        waiting = instance.create_run_for_job(model_job, status=dg.DagsterRunStatus.NOT_STARTED)
        other = instance.create_run_for_job(idle_job, status=dg.DagsterRunStatus.NOT_STARTED)
        counter = GlobalOpConcurrencyLimitsCounter(
            instance,
            [waiting, other],
            instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])),
            storage.get_concurrency_keys(),
            storage.get_pool_limits(),
            pool_granularity=config.pool_config.pool_granularity,
        )
        assert counter.is_blocked(waiting) is (limit == 1)
        assert not counter.is_blocked(other)


def test_a_new_home_knows_the_limit_before_its_first_run(shipped: DagsterInstance) -> None:
    limits = {pool.name: pool.limit for pool in shipped.event_log_storage.get_pool_limits()}
    assert limits == {DEVICE_POOL: 1}
