"""Greedy facility location against its definition, and what must have no influence on it."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.core.facility_location_pass import LIST_PAIRS, ROW_LIMIT, FacilityLocationPass
from deita_assets_tests.core.greedy_oracle import DTYPES, KINDS, Vectors, make_pool, ranked, state
from deita_assets_tests.core.whole_pool_oracle import assert_is, facility_location, stored, unit_pool

#: Lists from the first kept row on, from some row on, and never.
LISTS = [LIST_PAIRS, 60, -1]


def facility_location_pass(vectors, order, budget=None, **options):
    done = FacilityLocationPass(Vectors(vectors), order, **options)
    done.run(budget)
    return done


@given(
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from(DTYPES),
    n=st.integers(1, 22),
    budget=st.integers(1, 25),
    frozen=st.one_of(st.just(0), st.integers(0, 22)),
    evaluated_rows=st.sampled_from([1, 3, 16]),
    list_pairs=st.sampled_from(LISTS),
    seed=st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=150)
def test_is_the_greedy_rule(kind, dtype, n, budget, frozen, evaluated_rows, list_pairs, seed):
    vectors, scores = make_pool(kind, n, 4, dtype, seed)
    order, frozen = ranked(scores), min(frozen, n)
    found = facility_location_pass(
        vectors, order, budget, frozen=frozen, evaluated_rows=evaluated_rows, list_pairs=list_pairs
    )
    assert_is(found, facility_location(vectors, order, budget, frozen))


@given(
    first=st.integers(1, 60),
    second=st.integers(1, 130),
    frozen=st.integers(0, 40),
    list_pairs=st.sampled_from(LISTS),
    seed=st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=25)
def test_stopped_extended_and_resumed_passes_equal_an_uninterrupted_one(
    first, second, frozen, list_pairs, seed
):
    vectors, scores = make_pool("clusters", 120, 6, np.float16, seed)
    order = ranked(scores)
    stopped = facility_location_pass(vectors, order, first, frozen=frozen, list_pairs=list_pairs)
    resumed = FacilityLocationPass.resume(Vectors(vectors), order, frozen=frozen, **stored(stopped))
    assert state(resumed) == state(stopped)
    for done in (stopped, resumed):
        done.run(second)
        expected = facility_location_pass(vectors, order, max(first, second), frozen=frozen)
        assert state(done) == state(expected)
        done.run()
        assert state(done) == state(facility_location_pass(vectors, order, frozen=frozen))


def test_neither_summation_order_nor_batches_nor_lists_have_influence():
    """700 rows: more than one tile on either side."""
    vectors = unit_pool(700, 384, seed=2)
    expected = state(facility_location_pass(vectors, np.arange(700), 150))
    permuted = vectors[:, np.random.default_rng(3).permutation(384)]
    assert state(facility_location_pass(permuted, np.arange(700), 150)) == expected
    for options in (
        {"evaluated_rows": 1},
        {"evaluated_rows": 2000},
        {"list_pairs": -1},
        {"list_pairs": 700 * 50},
    ):
        assert state(facility_location_pass(vectors, np.arange(700), 150, **options)) == expected


_PRINT_DIGESTS = """
from deita_assets_tests.core.test_facility_location_pass import digests
print(*digests())
"""


def digests():
    """Of both passes over one pool."""
    from deita_assets_tests.core.test_k_center_pass import k_center_pass

    vectors, order = unit_pool(700, 96, seed=9), np.arange(700)
    passes = k_center_pass(vectors, order, 200), facility_location_pass(vectors, order, 200)
    return [hashlib.sha256(repr(state(done)).encode()).hexdigest() for done in passes]


@pytest.mark.parametrize(
    "environment",
    [
        {"OPENBLAS_NUM_THREADS": "1"},
        {"OPENBLAS_NUM_THREADS": "4"},
        {"OPENBLAS_CORETYPE": "Nehalem"},  # kernels without fused multiply-add, another order of sums
        {"OPENBLAS_CORETYPE": "Haswell"},
    ],
)
def test_neither_threads_nor_the_blas_kernel_have_influence(environment):
    printed = subprocess.run(
        [sys.executable, "-c", _PRINT_DIGESTS],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.split() == digests()


def test_near_ties_go_by_rank():
    """Rows that differ by less than the grid can tell are equals, so the first of them is kept."""
    vectors = np.array([[1.0, 1.0 + 2.0**-26, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    for order in ([0, 1, 2], [1, 0, 2]):
        assert facility_location_pass(vectors, order, 1).kept == [0]


def test_typical_rows_come_first_and_copies_by_rank():
    vectors = np.array([[3, 1], [4, 0], [4, 0], [3, -1], [-1, 4]], dtype=np.float32)
    done = facility_location_pass(vectors, np.arange(5))
    assert done.kept == [1, 4, 0, 3, 2]
    assert done.blocked_by.tolist() == [1, -1, 1, 1, 1]


def test_no_rows():
    done = facility_location_pass(np.empty((0, 4), dtype=np.float16), [])
    assert (done.kept, done.visited, done.exhausted) == ([], 0, True)


def test_too_many_rows_are_refused_with_the_cure():
    source = Vectors(np.ones((1, 2), dtype=np.float16))
    FacilityLocationPass(source, np.zeros(ROW_LIMIT))
    told = (
        f"found {ROW_LIMIT + 1} rows, expected at most {ROW_LIMIT}; use another selector, .* filter, .* scope"
    )
    with pytest.raises(ValueError, match=told):
        FacilityLocationPass(source, np.zeros(ROW_LIMIT + 1))
    assert source.taken == 0


def test_a_failing_source_or_callback_leaves_a_pass_that_can_go_on():
    vectors, scores = make_pool("clusters", 150, 5, np.float32, seed=19)
    order = ranked(scores)
    source = Vectors(vectors)
    done = FacilityLocationPass(source, order, frozen=3)
    source.fail_in = 0
    with pytest.raises(OSError, match="disk gone"):
        done.run(50)
    assert done.visited == 0

    def stop_at_20(visited, kept):
        if visited >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        done.run(50, stop_at_20)
    assert len(done.kept) == 20
    done.run(50)
    assert state(done) == state(facility_location_pass(vectors, order, 50, frozen=3))


def test_passes_that_cannot_start_are_refused():
    source = Vectors(np.eye(3))
    with pytest.raises(ValueError, match="order has shape"):
        FacilityLocationPass(source, [[0, 1, 2]])
    with pytest.raises(ValueError, match="frozen is -1"):
        FacilityLocationPass(source, [0, 1, 2], frozen=-1)
    with pytest.raises(ValueError, match="evaluated_rows is 0"):
        FacilityLocationPass(source, [0, 1, 2], evaluated_rows=0)
    with pytest.raises(ValueError, match="budget is 0"):
        FacilityLocationPass(source, [0, 1, 2]).run(0)
