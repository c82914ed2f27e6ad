"""Attempts: how often automation has tried one piece of work, when it tries again, and when it gives up.

Nothing is counted in a cursor. Each requested run carries the digest of what it was for and the number of its attempt,
so the newest run that ended tells all: another digest, a run by hand, one before the last night, or none means to
start afresh.

What belongs here: the rule, and finding that newest run. What does not: what there is to do (plan).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

import dagster as dg
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter

from deita_assets.defs.automation.live_runs import assets_of
from deita_assets.defs.automation.run_tags import FOR_INPUTS, PARTITION, attempt_of, inputs_of

#: Attempts at the same inputs before automation waits for a person, the night, or other inputs.
MOST_ATTEMPTS = 5
#: Seconds after the first attempt before the second, doubled with each: 1, 2, 4 and 8 minutes.
FIRST_PAUSE_S = 60.0
#: Hour, UTC, at which earlier attempts are forgotten.
NIGHT_HOUR = 3

_ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
#: Ended runs of one partition, or for the same inputs, that are looked through for one of the right assets.
_LOOKED_THROUGH = 50


@dataclass(frozen=True)
class Ended:
    """A run that ended.

    Attributes:
        run_id: of Dagster.
        inputs: digest of what it was requested for; None for a run by hand.
        attempt: its number; 0 for a run by hand.
        at: when it ended, in seconds since 1970.
        succeeded: whether it did.
    """

    run_id: str
    inputs: str | None
    attempt: int
    at: float
    succeeded: bool


@dataclass(frozen=True)
class Outlook:
    """What comes next of one piece of work.

    Attributes:
        attempt: number of the next attempt.
        due: when it may begin, in seconds since 1970; 0 for at once.
        gave_up: no attempt follows by itself before the night.
        after: id of the run that ended last; None without one.
    """

    attempt: int
    due: float = 0.0
    gave_up: bool = False
    after: str | None = None


def outlook(last: Ended | None, inputs: str, now: float) -> Outlook:
    """The next attempt at work for `inputs`, after the newest run that ended.

    A run that succeeded and left the same work behind counts as an attempt too: it would otherwise be requested for
    ever. What ended before the last night counts no more, also where nothing ran during that night.
    """
    if last is None:
        return Outlook(1)
    if last.inputs != inputs or last.at < latest_night(now):
        return Outlook(1, after=last.run_id)
    if last.attempt >= MOST_ATTEMPTS:
        return Outlook(last.attempt, gave_up=True, after=last.run_id)
    pause = FIRST_PAUSE_S * 2 ** max(last.attempt - 1, 0)
    return Outlook(last.attempt + 1, due=last.at + pause, after=last.run_id)


def latest_night(now: float) -> float:
    """The latest 03:00 UTC at or before `now`; both in seconds since 1970."""
    moment = dt.datetime.fromtimestamp(now, dt.UTC)
    night = moment.replace(hour=NIGHT_HOUR, minute=0, second=0, microsecond=0)
    return (night if night <= moment else night - dt.timedelta(days=1)).timestamp()


def newest_ended(
    instance: DagsterInstance, assets: Iterable[str], partition: str | None, inputs: str
) -> Ended | None:
    """The newest ended run of any of these assets at one partition; without a partition, of the same inputs.

    Where many other runs of the partition came after it, the newest one for the same inputs: what was tried is never
    forgotten, and no run key is made twice.
    """
    wanted = set(assets)
    of_partition = {PARTITION: partition} if partition is not None else {}
    for tags in (of_partition, {**of_partition, FOR_INPUTS: inputs}):
        if not tags:
            continue
        which = RunsFilter(statuses=_ENDED, tags=tags)
        records = instance.get_run_records(which, limit=_LOOKED_THROUGH)
        for record in records:
            if wanted & assets_of(record.dagster_run):
                return _ended(record)
        if len(records) < _LOOKED_THROUGH:
            return None
    return None


def _ended(record: dg.RunRecord) -> Ended:
    run = record.dagster_run
    return Ended(
        run_id=run.run_id,
        inputs=inputs_of(run),
        attempt=attempt_of(run),
        at=record.end_time or record.update_timestamp.timestamp(),
        succeeded=run.status is DagsterRunStatus.SUCCESS,
    )
