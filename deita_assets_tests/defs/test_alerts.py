"""Alerts: what fails is told once, in the log, in `alerts.jsonl` and to a webhook whose address stays secret."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterInstance

from deita_assets.definitions import build_defs
from deita_assets.defs.automation import alerts
from deita_assets.defs.automation.alert_sensors import check_failure_alerts, run_failure_alerts
from deita_assets.defs.automation.alerts import Alert, raise_alert, raise_alerts
from deita_assets.defs.platform import Platform
from deita_assets.stores.home import Home
from deita_assets_tests.engines.test_webhook import SECRET, Hook

ALERT = Alert("gave_up", "raw_pool[tea]", "5 runs failed", "Correct the files.", run_id="0123456789abcdef")


@pytest.fixture(autouse=True)
def ready(monkeypatch) -> None:
    monkeypatch.delenv("DEITA_ALERT_WEBHOOK", raising=False)
    monkeypatch.setattr(alerts, "_webhook", alerts._Webhook())


@pytest.fixture
def hook(monkeypatch) -> Iterator[Hook]:
    made = Hook()
    monkeypatch.setenv("DEITA_ALERT_WEBHOOK", made.address)
    yield made
    made.close()


def lines(home: Home) -> list[dict]:
    file = home.root / "alerts.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


SENSORS = {one.name: one for one in (run_failure_alerts, check_failure_alerts)}
LOG = logging.getLogger("tick")


class TestRaising:
    def test_it_goes_to_the_log_the_file_and_the_webhook(self, home, hook, caplog) -> None:
        raise_alert(LOG, ALERT, home=home)
        text = "gave_up: raw_pool[tea] (run 01234567): 5 runs failed. Correct the files."
        assert [(r.name, r.getMessage()) for r in caplog.records] == [
            ("tick", text),
            ("deita_assets.alerts", text),
        ]
        (line,) = lines(home)
        assert line.pop("at").endswith("+00:00")
        fields = {
            "kind": "gave_up", "subject": "raw_pool[tea]", "message": "5 runs failed", "cure": "Correct the files.",
            "run_id": "0123456789abcdef",
        }  # fmt: skip
        assert line == fields
        assert hook.bodies == [{"text": f"[home] {text}", "home": "home", **fields}]

    def test_without_a_webhook_the_file_is_enough(self, home) -> None:
        raise_alert(LOG, ALERT, home=home)
        assert len(lines(home)) == 1

    def test_a_webhook_that_fails_is_left_alone_for_a_while_and_fails_nothing(
        self, home, hook, caplog, monkeypatch
    ):
        hook.status = 500
        for _ in range(3):
            raise_alert(LOG, ALERT, home=home)
        assert len(hook.asked) == 1
        assert len(lines(home)) == 3
        assert "HTTP status 500" in caplog.text
        hook.status = 200
        monkeypatch.setattr(alerts._webhook, "resume_at", 0.0)  # a minute later
        raise_alert(LOG, ALERT, home=home)
        assert len(hook.asked) == 2
        assert SECRET not in caplog.text + (home.root / "alerts.jsonl").read_text()

    def test_a_slow_webhook_is_asked_no_longer_than_its_budget_and_told_how_many_more_there_are(
        self, home, hook, monkeypatch
    ):
        """Dagster ends a tick after 60 s, and it would lose its place."""
        clock = [1000.0]
        posted = alerts.post_json

        def slowly(address, body):
            clock[0] += 4.0
            posted(address, body)

        monkeypatch.setattr(alerts.time, "monotonic", lambda: clock[0])
        monkeypatch.setattr(alerts, "post_json", slowly)
        many = [Alert("landing", f"s{at}", "a link", "Copy the file.") for at in range(12)]

        raise_alerts(LOG, many, home=home)
        assert [one["subject"] for one in hook.bodies] == ["s0", "s1", "s2", "s3", "alerts.jsonl"]
        assert hook.bodies[-1]["text"] == "[home] more: alerts.jsonl: and 8 more. Read them there."
        assert [one["subject"] for one in lines(home)] == [f"s{at}" for at in range(12)]

        clock[0] += alerts.WINDOW_S
        raise_alerts(LOG, many[:1], home=home)
        assert hook.bodies[-1]["subject"] == "s0"

    def test_an_address_that_is_refused_fails_nothing_and_is_not_told(
        self, home, caplog, monkeypatch
    ) -> None:
        monkeypatch.setenv("DEITA_ALERT_WEBHOOK", f"http://elsewhere.example.org/{SECRET}")
        raise_alert(LOG, ALERT, home=home)
        assert "DEITA_ALERT_WEBHOOK" in caplog.text
        assert SECRET not in caplog.text
        assert len(lines(home)) == 1

    def test_a_file_that_cannot_be_written_hinders_nothing(self, home, hook, caplog) -> None:
        (home.root / "alerts.jsonl").mkdir()
        raise_alert(LOG, ALERT, home=home)
        assert "alerts.jsonl could not be written" in caplog.text
        assert len(hook.bodies) == 1

    def test_no_home_is_made_for_it(self, tmp_path: Path, monkeypatch) -> None:
        monkeypatch.setenv("DEITA_HOME", str(tmp_path / "nowhere"))
        raise_alert(LOG, ALERT)
        assert list(tmp_path.iterdir()) == []


class Watch:
    """Both sensors over one home, evaluated as the daemon does: the cursor of one tick is the input of the next."""

    def __init__(self, instance: DagsterInstance, home: Home) -> None:
        self.instance, self.home = instance, home
        self.cursors: dict[str, str | None] = dict.fromkeys(SENSORS)

    def tick(self) -> list[dict]:
        """What the sensors tell in one tick."""
        before = len(lines(self.home))
        platform = Platform(home_path=str(self.home.root))
        for name, sensor in SENSORS.items():
            with dg.build_sensor_context(
                instance=self.instance,
                cursor=self.cursors[name],
                resources={"platform": platform},
                repository_name="__repository__",  # runs of the command line belong to none
            ) as context:
                ticked = sensor.evaluate_tick(context)
            assert [one.error for one in ticked.dagster_run_reactions or [] if one.error] == []
            self.cursors[name] = ticked.cursor
        return [
            {k: one[k] for k in ("kind", "subject", "message", "cure")} for one in lines(self.home)[before:]
        ]

    def run(self, *definitions: object, tags: dict[str, str] | None = None) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            list(definitions), instance=self.instance, raise_on_error=False, tags=tags, partition_key="tea",
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )  # fmt: skip


@pytest.fixture(scope="module")
def instance() -> Iterator[DagsterInstance]:
    with dg.instance_for_test() as made:
        made.add_dynamic_partitions("source", ["tea"])
        yield made


@pytest.fixture
def watch(instance, home) -> Watch:
    return Watch(instance, home)


TEA = dg.DynamicPartitionsDefinition(name="source")


@dg.asset(partitions_def=TEA)
def fails_in_words() -> None:
    raise dg.Failure(
        "the scorer is gone. Name another.", metadata={"cure": "Name another."}, allow_retries=False
    )


@dg.asset(partitions_def=TEA)
def fails_on_a_row() -> None:
    try:
        raise ValueError("a secret row")
    except ValueError as error:
        raise RuntimeError("a secret row too") from error


@dg.asset(partitions_def=TEA)
def works() -> None:
    return None


def checked(
    severity: dg.AssetCheckSeverity, passed: bool, blocking: bool = False
) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=works, name="drop_rate", blocking=blocking)
    def drop_rate() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=passed, severity=severity, description="0.1 % dropped")

    return drop_rate


class TestRuns:
    def test_a_failed_run_is_told_once_and_old_ones_never(self, watch) -> None:
        assert not watch.run(fails_in_words).success
        assert watch.tick() == []
        failed = watch.run(fails_in_words)
        assert watch.run(works).success
        see = f"See run {failed.run_id[:8]} in the UI (`deita-assets dev`)."
        assert watch.tick() == [
            {
                "kind": "run_failure", "subject": "fails_in_words[tea]", "message": "the scorer is gone.",
                "cure": f"Name another. {see}",
            }
        ]  # fmt: skip
        assert watch.tick() == []

    def test_foreign_errors_are_named_and_not_quoted(self, watch) -> None:
        watch.tick()
        watch.run(fails_on_a_row)
        (told,) = watch.tick()
        assert told["message"] == "ValueError"
        assert "secret row" not in (watch.home.root / "alerts.jsonl").read_text()

    def test_several_failed_steps_are_one_alert(self, watch) -> None:
        watch.tick()
        watch.run(fails_in_words, fails_on_a_row)
        (told,) = watch.tick()
        assert told["message"].endswith(" 1 more steps failed.")

    def test_of_the_attempts_of_automation_the_first_is_told(self, watch) -> None:
        watch.tick()
        for attempt in ("1", "2", "3"):
            watch.run(fails_in_words, tags={"deita/inputs": "d1", "deita/attempt": attempt})
        assert len(watch.tick()) == 1

    def test_an_attempt_that_a_person_starts_again_is_told(self, watch) -> None:
        """The UI copies all tags."""
        tags = {"deita/inputs": "d1", "deita/attempt": "3"}
        watch.tick()
        watch.run(fails_in_words, tags=tags)
        assert watch.tick() == []
        watch.run(fails_in_words, tags={**tags, "dagster/parent_run_id": "the one before"})
        assert [one["kind"] for one in watch.tick()] == ["run_failure"]

    def test_a_run_whose_process_died_is_told_and_a_cancelled_one_is_not(self, watch) -> None:
        watch.tick()
        job = build_defs().resolve_implicit_global_asset_job_def()
        for report in (watch.instance.report_run_failed, watch.instance.report_run_canceled):
            run = watch.instance.create_run_for_job(job, tags={"dagster/partition": "tea"})
            report(run, "process 12 ended without finishing this run")
        (told,) = watch.tick()
        assert told["subject"] == "__ASSET_JOB[tea]"
        assert "process 12 ended" in told["message"]


class TestChecks:
    @pytest.mark.parametrize(
        ("severity", "kind"),
        [(dg.AssetCheckSeverity.WARN, "check_warning"), (dg.AssetCheckSeverity.ERROR, "check_failure")],
    )
    def test_a_check_that_did_not_pass_is_told_once_for_each_evaluation(self, watch, severity, kind) -> None:
        check = checked(severity, passed=False)
        watch.run(works, check)
        assert watch.tick() == []
        for _ in range(2):
            assert watch.run(works, check).success
        told = watch.tick()
        assert [(one["kind"], one["subject"], one["message"]) for one in told] == [
            (kind, "works[tea]: drop_rate", "0.1 % dropped")
        ] * 2
        assert watch.tick() == []

    def test_one_that_passed_is_not_told(self, watch) -> None:
        watch.tick()
        watch.run(works, checked(dg.AssetCheckSeverity.ERROR, passed=True))
        assert watch.tick() == []

    def test_a_blocking_check_is_told_and_the_run_that_it_stopped_is_not_told_again(self, watch) -> None:
        @dg.asset(deps=[works], partitions_def=TEA)
        def below() -> None:
            return None

        watch.tick()
        assert not watch.run(
            works, checked(dg.AssetCheckSeverity.ERROR, passed=False, blocking=True), below
        ).success
        assert [one["kind"] for one in watch.tick()] == ["check_failure"]


def test_the_graph_has_both_sensors_and_they_run_by_themselves() -> None:
    sensors = {one.name: one for one in build_defs().sensors}
    for name in ("run_failure_alerts", "check_failure_alerts"):
        assert sensors[name].default_status is dg.DefaultSensorStatus.RUNNING
