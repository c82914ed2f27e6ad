"""Dagster's daemon in miniature, over one small home: ticks with cursors, run keys, and runs made in this process."""

from __future__ import annotations

import datetime as dt
from typing import Any

import dagster as dg
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

from deita_assets.definitions import build_defs
from deita_assets.defs.automation import attempts, reading
from deita_assets.defs.automation.nightly import nightly_recuration
from deita_assets.defs.automation.sensors import landing_sensor, recuration_sensor
from deita_assets_tests.defs.small_home import SmallHome

#: Of a run in a queue, which Dagster wants to be able to start.
ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("deita_assets"), "__repository__"), "curate_source"
)
_SENSORS = {"landing": landing_sensor, "recuration": recuration_sensor}


class Daemon:
    """Evaluates the real sensors and schedule, and executes what they request.

    Attributes:
        said: sensor -> what its last tick said.
    """

    def __init__(self, home: SmallHome, monkeypatch) -> None:
        self.home, self.instance = home, home.instance
        self.repository = build_defs(home_path=str(home.platform.home.root)).get_repository_def()
        self.cursors: dict[str, str | None] = {}
        self.run_keys: set[tuple[str, str]] = set()
        self.said: dict[str, str] = {}
        self.later_s = 0.0
        clock = reading.time
        self.now = lambda: clock() + self.later_s
        monkeypatch.setattr(reading, "time", lambda: self.now())
        # A night begins when a test says so, and not when the suite runs past 03:00 UTC.
        self.night_began = 0.0
        monkeypatch.setattr(attempts, "latest_night", lambda now: self.night_began)

    def tick(self, name: str) -> list[dg.RunRequest]:
        """One evaluation; what it requests under a run key that was used before is dropped, as the daemon does."""
        # Contexts are closed at once: left to the garbage collector they close Dagster's state out of order, some
        # time later, and whatever the process then loads looks into an instance that is gone.
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(name),
            resources={"platform": self.home.platform},
        ) as context:
            done = _SENSORS[name](context)
        self.cursors[name] = done.cursor
        self.said[name] = str(done.skip_reason.skip_message) if done.skip_reason else ""
        for request in done.dynamic_partitions_requests or []:
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        fresh = [one for one in done.run_requests or [] if (name, one.run_key) not in self.run_keys]
        self.run_keys.update((name, str(one.run_key)) for one in fresh)
        return fresh

    def night(self, minute: int = 0) -> list[dg.RunRequest]:
        """One evaluation of the schedule; with minute 0 a night begins."""
        if minute == 0:
            self.night_began = self.now()
        with dg.build_schedule_context(
            self.instance,
            scheduled_execution_time=dt.datetime(2026, 1, 1, 3, minute, tzinfo=dt.UTC),
            repository_def=self.repository,
            resources={"platform": self.home.platform},
        ) as context:
            done = nightly_recuration.evaluate_tick(context)
        self.said["night"] = done.skip_message or ""
        return list(done.run_requests or [])

    def execute(self, request: dg.RunRequest, **tags: str) -> dg.ExecuteInProcessResult:
        """The run of a request, to its end."""
        job = self.repository.get_job(request.job_name or "__ASSET_JOB")
        return job.execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            asset_selection=list(request.asset_selection or []),
            run_config={**request.run_config, "loggers": _QUIET},
            tags={**request.tags, "dagster/run_key": str(request.run_key), **tags},
            raise_on_error=False,
        )

    def enqueue(self, request: dg.RunRequest) -> dg.DagsterRun:
        """The run of a request, left in the queue."""
        job = self.repository.get_job(request.job_name or "__ASSET_JOB")
        return self.instance.create_run_for_job(
            job.get_subset(asset_selection=set(request.asset_selection or [])),
            status=dg.DagsterRunStatus.QUEUED,
            tags={**request.tags, "dagster/partition": str(request.partition_key)},
            asset_selection=frozenset(request.asset_selection or []),
            remote_job_origin=ORIGIN,
        )

    def round(self) -> list[str]:
        """A tick of each sensor, and the runs that they request."""
        requests = [*self.tick("landing"), *self.tick("recuration")]
        return [done_as(request) for request in requests if self.execute(request)]

    def settle(self, rounds: int = 30) -> list[str]:
        """Rounds until two of them request nothing; what ran, in order."""
        ran: list[str] = []
        quiet = 0
        for _ in range(rounds):
            now = self.round()
            ran += now
            quiet = 0 if now else quiet + 1
            if quiet == 2:
                return ran
        raise AssertionError(f"never quiet: {ran[-10:]}, {self.said}")


_QUIET: dict[str, Any] = {"console": {"config": {"log_level": "CRITICAL"}}}


def done_as(request: dg.RunRequest) -> str:
    """`asset, asset[partition]` of a request."""
    names = ", ".join(key.to_user_string() for key in request.asset_selection or [])
    return f"{names}[{request.partition_key}]" if request.partition_key else names
