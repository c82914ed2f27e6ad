"""Attempts: pauses that double, giving up after five, and what starts afresh."""

import datetime as dt

import pytest

from deita_assets.defs.automation.attempts import Ended, Outlook, latest_night, outlook

AT = 1_000_000.0  # 13:46 UTC


def at_utc(moment: str) -> float:
    return dt.datetime.fromisoformat(f"{moment}+00:00").timestamp()


def ended(attempt: int, *, inputs: str | None = "now", ago: float = 0.0, succeeded: bool = False) -> Ended:
    return Ended("run", inputs, attempt, AT - ago, succeeded)


def test_the_first_attempt_is_due_at_once():
    assert (outlook(None, "now", AT).attempt, outlook(None, "now", AT).due) == (1, 0.0)


@pytest.mark.parametrize(("failed", "minutes"), [(1, 1), (2, 2), (3, 4), (4, 8)])
def test_pauses_double(failed, minutes):
    next_one = outlook(ended(failed), "now", AT)

    assert (next_one.attempt, next_one.due, next_one.gave_up) == (failed + 1, AT + 60 * minutes, False)


def test_the_fifth_failure_is_the_last():
    assert outlook(ended(5), "now", AT).gave_up


@pytest.mark.parametrize("last", [ended(5, inputs="before"), ended(0, inputs=None)])
def test_other_inputs_and_runs_by_hand_start_afresh(last):
    next_one = outlook(last, "now", AT)

    assert (next_one.attempt, next_one.due, next_one.gave_up) == (1, 0.0, False)
    assert next_one.after == "run", "its key differs from that of the first attempt ever"


def test_a_success_that_left_the_work_behind_is_not_repeated_for_ever():
    assert outlook(ended(1, succeeded=True), "now", AT).due == AT + 60
    assert outlook(ended(5, succeeded=True), "now", AT).gave_up
    assert outlook(ended(5, succeeded=True, ago=3601), "now", AT).gave_up, "nor each hour"


@pytest.mark.parametrize(
    ("now", "night"),
    [
        ("2026-03-01T03:00:00", "2026-03-01T03:00:00"),
        ("2026-03-01T02:59:59", "2026-02-28T03:00:00"),
        ("2026-03-01T23:10:00", "2026-03-01T03:00:00"),
    ],
)
def test_the_latest_night(now, night):
    assert latest_night(at_utc(now)) == at_utc(night)


@pytest.mark.parametrize("attempt", [2, 5])
def test_a_night_that_has_begun_since_starts_afresh_also_where_nothing_ran_in_it(attempt):
    """The machine was off at 03:00, or the settings could not be read: any later tick counts."""
    night = at_utc("2026-03-01T03:00:00")
    last = Ended("run", "now", attempt, night - 60, succeeded=False)

    assert outlook(last, "now", night - 1).attempt != 1
    for later in (0, 3600, 20 * 3600):
        assert outlook(last, "now", night + later) == Outlook(1, after="run")
    since = Ended("run", "now", attempt, night + 60, succeeded=False)
    assert outlook(since, "now", night + 3600).attempt > 1
