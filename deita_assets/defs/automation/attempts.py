"""Attempts: how often automation has tried one piece of work, when it tries again, and when it gives up.

Nothing is counted in a cursor. Each requested run carries the digest of what it was for and the number of its attempt,
so the newest run that ended tells all: another digest, a run by hand, or none means to start afresh.

What belongs here: the rule, and finding that newest run. What does not: what there is to do (plan).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import dagster as dg
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter

from deita_assets.defs.automation.alert_sensors import ATTEMPT
from deita_assets.defs.automation.live_runs import assets_of

#: Tag of a requested run: digest of what it is for.
FOR_INPUTS = "deita/inputs"
#: Attempts at the same inputs before automation waits for a person, the night, or other inputs.
MOST_ATTEMPTS = 5
#: Seconds after a failed attempt before the next one, doubled with each, and the longest pause.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 60.0, 3600.0

_ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]
_PARENT = "dagster/parent_run_id"
#: Ended runs of one partition that are looked through for one of the right assets.
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
        gave_up: no attempt follows by itself.
        after: id of the run that ended last; None without one.
    """

    attempt: int
    due: float = 0.0
    gave_up: bool = False
    after: str | None = None


def outlook(last: Ended | None, inputs: str, now: float) -> Outlook:
    """The next attempt at work for `inputs`, after the newest run that ended.

    A run that succeeded and left the same work behind counts as an attempt too, for as long as the longest pause: it
    would otherwise be requested for ever.
    """
    if last is None:
        return Outlook(1)
    if last.inputs != inputs or (last.succeeded and now - last.at > LONGEST_PAUSE_S):
        return Outlook(1, after=last.run_id)
    if last.attempt >= MOST_ATTEMPTS:
        return Outlook(last.attempt, gave_up=True, after=last.run_id)
    pause = min(FIRST_PAUSE_S * 2 ** max(last.attempt - 1, 0), LONGEST_PAUSE_S)
    return Outlook(last.attempt + 1, due=last.at + pause, after=last.run_id)


def newest_ended(
    instance: DagsterInstance, assets: Iterable[str], partition: str | None, inputs: str
) -> Ended | None:
    """The newest ended run of any of these assets at one partition; without a partition, of the same inputs."""
    tags = {"dagster/partition": partition} if partition is not None else {FOR_INPUTS: inputs}
    wanted = set(assets)
    which = RunsFilter(statuses=_ENDED, tags=tags)
    for record in instance.get_run_records(which, limit=_LOOKED_THROUGH):
        if wanted & assets_of(record.dagster_run):
            return _ended(record)
    return None


def _ended(record: dg.RunRecord) -> Ended:
    run = record.dagster_run
    by_hand = _is_by_hand(run)
    attempt = run.tags.get(ATTEMPT, "")
    return Ended(
        run_id=run.run_id,
        inputs=None if by_hand else run.tags.get(FOR_INPUTS),
        attempt=0 if by_hand or not attempt.isdigit() else int(attempt),
        at=record.end_time or record.update_timestamp.timestamp(),
        succeeded=run.status is DagsterRunStatus.SUCCESS,
    )


def _is_by_hand(run: DagsterRun) -> bool:
    """Whether a person started a run; the UI copies all tags to a run that it repeats."""
    return FOR_INPUTS not in run.tags or _PARENT in run.tags
