"""Greedy k-center against its definition, and what must have no influence on it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.core import k_center_pass as k_center_module
from deita_assets.core.exact_products import similarities
from deita_assets.core.k_center_pass import KCenterPass
from deita_assets_tests.core.greedy_oracle import DTYPES, KINDS, Vectors, make_pool, ranked, state
from deita_assets_tests.core.whole_pool_oracle import assert_is, k_center, stored, unit_pool


def k_center_pass(vectors, order, budget=None, **options):
    done = KCenterPass(Vectors(vectors), order, **options)
    done.run(budget)
    return done


@given(
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from(DTYPES),
    n=st.integers(1, 30),
    budget=st.integers(1, 35),
    frozen=st.integers(0, 30),
    front_rows=st.sampled_from([1, 2, 7, 256]),
    seed=st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=150)
def test_is_the_greedy_rule(kind, dtype, n, budget, frozen, front_rows, seed):
    vectors, scores = make_pool(kind, n, 4, dtype, seed)
    order = ranked(scores)
    found = k_center_pass(vectors, order, budget, frozen=min(frozen, n), front_rows=front_rows)
    assert_is(found, k_center(vectors, order, budget, min(frozen, n)))


@given(
    kind=st.sampled_from(["clusters", "equal"]),
    first=st.integers(1, 60),
    second=st.integers(1, 130),
    frozen=st.integers(0, 40),
    seed=st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=25)
def test_stopped_extended_and_resumed_passes_equal_an_uninterrupted_one(kind, first, second, frozen, seed):
    vectors, scores = make_pool(kind, 120, 6, np.float16, seed)
    order = ranked(scores)
    stopped = k_center_pass(vectors, order, first, frozen=frozen, front_rows=16)
    resumed = KCenterPass.resume(Vectors(vectors), order, frozen=frozen, **stored(stopped))
    assert state(resumed) == state(stopped)
    for done in (stopped, resumed):
        done.run(second)
        assert state(done) == state(k_center_pass(vectors, order, max(first, second), frozen=frozen))
        done.run()
        assert state(done) == state(k_center_pass(vectors, order, frozen=frozen))


def test_neither_summation_order_nor_front_have_influence():
    vectors = unit_pool(1500, 384, seed=2)
    expected = state(k_center_pass(vectors, np.arange(1500), 400))
    permuted = vectors[:, np.random.default_rng(3).permutation(384)]
    assert state(k_center_pass(permuted, np.arange(1500), 400)) == expected
    for front_rows in (1, 33, 1024, 5000):
        assert state(k_center_pass(vectors, np.arange(1500), 400, front_rows=front_rows)) == expected


def test_outliers_come_first_and_copies_last():
    vectors = np.eye(6)[[0, 0, 1, 0, 2, 1]] + 0.0
    done = k_center_pass(vectors, np.arange(6))
    assert done.kept == [0, 2, 4, 1, 3, 5]
    assert done.blocked_by.tolist() == [-1, 0, 0, 0, 0, 2]
    assert done.similarity[[1, 2, 3, 4, 5]].tolist() == [1, 0, 1, 0, 1]


def test_a_row_that_rises_to_a_tie_with_one_outside_the_front_waits_its_turn():
    """Rows 1 and 3 are the front; row 1 brings row 3 level with row 2, which stands before it."""
    vectors = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 1], [0, 1, 1]], dtype=np.float16)
    for front_rows in (1, 2, 3):
        assert k_center_pass(vectors, np.arange(4), front_rows=front_rows).kept == [0, 1, 2, 3]


def test_no_budget_and_no_rows():
    done = k_center_pass(np.empty((0, 4), dtype=np.float16), [])
    assert (done.kept, done.visited, done.exhausted) == ([], 0, True)


def test_few_comparisons_are_made_and_a_resumed_pass_makes_no_more(monkeypatch):
    """The naive rule compares every row with every kept row, here 2.7 million pairs."""
    compared = 0

    def counted(left, right):
        nonlocal compared
        compared += len(left.square) * len(right.square)
        return similarities(left, right)

    monkeypatch.setattr(k_center_module, "similarities", counted)
    vectors, order = unit_pool(3000, 24, seed=4), np.arange(3000)
    done = k_center_pass(vectors, order, 900)
    without_stop = compared
    assert without_stop < 2_700_000 * 2 / 3
    resumed = KCenterPass.resume(Vectors(vectors), order, **stored(done))
    compared = 0
    resumed.run(901)
    assert compared < 1.5 * without_stop
    done.run(901)
    assert state(resumed) == state(done)


def test_a_failing_source_or_callback_leaves_a_pass_that_can_go_on():
    vectors, scores = make_pool("clusters", 200, 5, np.float32, seed=19)
    order = ranked(scores)
    source = Vectors(vectors)
    done = KCenterPass(source, order, front_rows=8)
    source.fail_in = 0
    with pytest.raises(OSError, match="disk gone"):
        done.run(50)
    assert done.visited == 0
    seen = []

    def stop_at_20(visited, kept):
        seen.append((visited, kept))
        if visited >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        done.run(50, stop_at_20)
    assert seen[-1] == (len(done.kept), len(done.kept)) and len(done.kept) < 50
    done.run(50)
    assert state(done) == state(k_center_pass(vectors, order, 50))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"kept": [0, 10]}, "different ranks below 10"),
        ({"kept": [0, -1]}, "different ranks below 10"),
        ({"kept": [0, 1, 4, 4]}, "different ranks below 10"),
        ({"kept": [1, 0]}, "ranks 0 to 1 first"),
        ({"similarity": np.zeros(9)}, r"similarity \(9,\) do not fit"),
        ({"blocked_by": np.zeros(9)}, r"blocked_by \(9,\)"),
    ],
)
def test_stored_parts_that_do_not_fit_are_refused(changed, told):
    parts = {"kept": [0, 1, 7], "blocked_by": np.zeros(10), "similarity": np.zeros(10)} | changed
    with pytest.raises(ValueError, match=told):
        KCenterPass.resume(Vectors(np.eye(10)), np.arange(10), frozen=2, **parts)


def test_a_stored_pass_began_with_the_first_row():
    with pytest.raises(ValueError, match="ranks 0 to 0 first"):
        KCenterPass.resume(
            Vectors(np.eye(3)), [0, 1, 2], kept=[1], blocked_by=np.zeros(3), similarity=np.zeros(3)
        )


def test_passes_that_cannot_start_are_refused():
    source = Vectors(np.eye(3))
    with pytest.raises(ValueError, match="order has shape"):
        KCenterPass(source, [[0, 1, 2]])
    with pytest.raises(ValueError, match="frozen is 4"):
        KCenterPass(source, [0, 1, 2], frozen=4)
    with pytest.raises(ValueError, match="front_rows is 0"):
        KCenterPass(source, [0, 1, 2], front_rows=0)
    with pytest.raises(ValueError, match="budget is 0"):
        KCenterPass(source, [0, 1, 2]).run(0)
