"""`run_failure_alerts` and `check_failure_alerts`: a run or an asset check that fails is told to a person, once.

Both go through the runs that ended, from the UI, a backfill, a sensor or the command line; Dagster keeps their places,
and begins with what ends after they were first switched on.

What belongs here: from a run that ended to alerts. What does not: where an alert goes (alerts).
"""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
from dagster import DagsterEventType, DagsterInstance, DagsterRun

from deita_assets.core.shown import clip
from deita_assets.defs.automation.alerts import Alert, raise_alerts
from deita_assets.defs.automation.run_tags import PARTITION, attempt_of
from deita_assets.defs.platform import Platform

INTERVAL_S = 15
RUN_FAILURE, CHECK_FAILURE, CHECK_WARNING = "run_failure", "check_failure", "check_warning"
#: Characters of a message that is told.
_SHOWN = 500
#: What Dagster raises when a blocking check fails; its check has an alert of its own.
_CHECK_STOPPED = "DagsterAssetCheckFailedError"


@dg.run_failure_sensor(
    minimum_interval_seconds=INTERVAL_S,
    monitor_all_code_locations=True,  # runs of the command line belong to no code location
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Alerts for every run that failed, and for the asset checks that failed in it.",
)
def run_failure_alerts(context: dg.RunFailureSensorContext, platform: Platform) -> None:
    """Alerts for every run that failed, and for the asset checks that failed in it."""
    run = context.dagster_run
    failed = run_alert(context)
    alerts = [*check_alerts(context.instance, run), *([failed] if failed else [])]
    raise_alerts(context.log, alerts, home=platform.home)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    minimum_interval_seconds=INTERVAL_S,
    monitor_all_code_locations=True,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Alerts for asset checks that failed, or warn, in a run that succeeded otherwise.",
)
def check_failure_alerts(context: dg.RunStatusSensorContext, platform: Platform) -> None:
    """Alerts for asset checks that failed, or warn, in a run that succeeded otherwise."""
    raise_alerts(context.log, list(check_alerts(context.instance, context.dagster_run)), home=platform.home)


def run_alert(context: dg.RunFailureSensorContext) -> Alert | None:
    """What is to be told of a failed run.

    None when its failed checks say it all, and for the second and later attempts of automation, which tells of giving
    up itself.
    """
    run = context.dagster_run
    if attempt_of(run) > 1:
        return None
    failures = list(context.get_step_failure_events())
    own = [event for event in failures if not _stopped_by_check(event)]
    if failures and not own:
        return None
    see = f"See run {run.run_id[:8]} in the UI (`deita-assets dev`)."
    if not own:
        message = clip(context.failure_event.message or "no message", _SHOWN)
        return Alert(RUN_FAILURE, _partition_of(run, run.job_name), message, see, run.run_id)
    message, cure = _step_words(own[0])
    more = f" {len(own) - 1} more steps failed." if len(own) > 1 else ""
    subject = _partition_of(run, str(own[0].step_key))
    return Alert(RUN_FAILURE, subject, message + more, f"{cure} {see}".strip(), run.run_id)


def check_alerts(instance: DagsterInstance, run: DagsterRun) -> Iterator[Alert]:
    """One alert for each evaluation of this run that did not pass."""
    records = instance.get_records_for_run(
        run.run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION
    ).records
    for record in records:
        event = record.event_log_entry.dagster_event
        found = event.event_specific_data if event else None
        if not isinstance(found, dg.AssetCheckEvaluation) or found.passed:
            continue
        asset = _partition_of(run, found.asset_key.to_user_string())
        yield Alert(
            CHECK_WARNING if found.severity == dg.AssetCheckSeverity.WARN else CHECK_FAILURE,
            f"{asset}: {found.check_name}",
            clip(found.description or "the check did not pass", _SHOWN),
            "See the asset's Checks in the UI (`deita-assets dev`).",
            run.run_id,
        )


def _step_words(event: dg.DagsterEvent) -> tuple[str, str]:
    """(message, cure) of a failed step: our own words, else no more than the error's name, which holds no row."""
    told, error = event.step_failure_data.user_failure_data, event.step_failure_data.error
    if told is None or told.description is None:
        while error is not None and error.cause is not None:
            error = error.cause
        return (error.cls_name if error and error.cls_name else "no message"), ""
    cure = str(told.metadata["cure"].value) if "cure" in told.metadata else ""
    return clip(told.description.removesuffix(cure).rstrip(), _SHOWN), cure


def _stopped_by_check(event: dg.DagsterEvent) -> bool:
    error = event.step_failure_data.error
    return error is not None and error.cls_name == _CHECK_STOPPED


def _partition_of(run: DagsterRun, name: str) -> str:
    partition = run.tags.get(PARTITION)
    return f"{name}[{partition}]" if partition else name
