"""Attempts: pauses that double, giving up after five, and what starts afresh."""

import pytest

from deita_assets.defs.automation.attempts import Ended, outlook

AT = 1_000_000.0


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
    assert outlook(ended(5, succeeded=True, ago=3601), "now", AT).attempt == 1
