import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.core.token_batches import run_by_length


class FullError(Exception):
    """Stands for an out-of-memory error."""


def batches(lengths, **options):
    seen = []
    run_by_length(lengths, seen.append, **options)
    return seen


@settings(deadline=None, max_examples=200)
@given(st.lists(st.integers(0, 50), max_size=40), st.integers(1, 200), st.floats(0, 1))
def test_every_row_comes_once_longest_first_within_budget_and_tightness(lengths, budget, tightness):
    seen = batches(lengths, budget=budget, tightness=tightness)
    order = [row for batch in seen for row in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[row] for row in order] == sorted(lengths, reverse=True)
    for batch in seen:
        longest = lengths[batch[0]]
        assert len(batch) == 1 or len(batch) * longest <= budget
        assert all(lengths[row] >= tightness * longest for row in batch)


@pytest.mark.parametrize("lengths", [[5, 3, 5, 1], [2]])
def test_a_budget_of_one_makes_batches_of_one(lengths):
    assert all(len(batch) == 1 for batch in batches(lengths, budget=1))


def test_full_tightness_makes_batches_of_equal_lengths():
    seen = batches([4, 9, 4, 9, 9, 2], budget=1_000, tightness=1.0)
    assert seen == [[1, 3, 4], [0, 2], [5]]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 5))
def test_a_batch_that_does_not_fit_is_tried_again_smaller_and_for_good(lengths, most):
    done, attempts = [], []

    def compute(rows):
        attempts.append(len(rows))
        if len(rows) > most:
            raise FullError
        done.extend(rows)

    run_by_length(lengths, compute, budget=10_000, out_of_memory=(FullError,))
    assert sorted(done) == list(range(len(lengths)))
    failed = sum(1 for size in attempts if size > most)
    assert failed <= 6 + 6, "a halved budget stays: failures are bounded by halvings, not by batches"


def test_one_row_too_many_is_raised():
    def compute(rows):
        raise FullError

    with pytest.raises(FullError):
        run_by_length([3, 3], compute, budget=100, out_of_memory=(FullError,))


def test_other_errors_are_raised_at_once():
    attempts = []

    def compute(rows):
        attempts.append(rows)
        raise ValueError

    with pytest.raises(ValueError):
        run_by_length([3, 3], compute, budget=100, out_of_memory=(FullError,))
    assert len(attempts) == 1
