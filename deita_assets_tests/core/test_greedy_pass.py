"""A pass that stops, goes on, breaks down and is resumed."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.core.block_kernel import NumpyKernel
from deita_assets.core.repr_filter import GreedyPass
from deita_assets_tests.core.greedy_oracle import KINDS, Vectors, full_pass, make_pool, ranked, state


@given(
    kind=st.sampled_from(KINDS),
    threshold=st.sampled_from([0.5, 0.95, 1.0]),
    first=st.integers(1, 80),
    second=st.integers(1, 120),
    seed=st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=80)
def test_extended_and_resumed_passes_equal_an_uninterrupted_one(kind, threshold, first, second, seed):
    vectors, scores = make_pool(kind, 150, 5, np.float32, seed)
    order = ranked(scores)
    stopped = full_pass(vectors, order, threshold, first, block_size=32)
    assert state(stopped) == state(full_pass(vectors, order, threshold, first))
    resumed = GreedyPass.resume(
        Vectors(vectors),
        order,
        threshold,
        NumpyKernel(),
        visited=stopped.visited,
        kept=stopped.kept,
        blocked_by=stopped.blocked_by[: stopped.visited],
        similarity=stopped.similarity[: stopped.visited],
    )
    assert state(resumed) == state(stopped)
    for greedy_pass in (stopped, resumed):
        greedy_pass.run(second)
        assert state(greedy_pass) == state(full_pass(vectors, order, threshold, max(first, second)))
        greedy_pass.run()
        assert state(greedy_pass) == state(full_pass(vectors, order, threshold))


def test_resuming_takes_only_the_kept_rows_again():
    vectors, scores = make_pool("clusters", 400, 6, np.float32, seed=18)
    stopped = full_pass(vectors, ranked(scores), 0.9, 50)
    assert stopped.visited > 55
    source = Vectors(vectors)
    GreedyPass.resume(
        source,
        ranked(scores),
        0.9,
        NumpyKernel(),
        visited=stopped.visited,
        kept=stopped.kept,
        blocked_by=stopped.blocked_by,
        similarity=stopped.similarity,
    )
    assert source.taken == 50


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"visited": 11}, "visited is 11"),
        ({"visited": -1}, "visited is -1"),
        ({"similarity": np.zeros(3)}, r"in similarity \(3\)"),
        ({"kept": [0, 1, 4]}, "below visited"),
        ({"kept": [1, 2]}, "ranks from 0"),
        ({"kept": [0, 2, 2]}, "ascending"),
        ({"kept": []}, "ranks from 0"),
        ({"visited": 0}, "below visited"),
    ],
)
def test_stored_parts_that_do_not_fit_are_refused(changed, told):
    stored = {"visited": 4, "kept": [0, 2], "blocked_by": np.zeros(10), "similarity": np.zeros(10)} | changed
    with pytest.raises(ValueError, match=told):
        GreedyPass.resume(Vectors(np.eye(10)), np.arange(10), 0.9, NumpyKernel(), **stored)


def test_a_failing_source_or_callback_leaves_a_pass_that_can_go_on():
    vectors, scores = make_pool("clusters", 200, 5, np.float32, seed=19)
    order = ranked(scores)
    source = Vectors(vectors)
    greedy_pass = GreedyPass(source, order, 0.9, NumpyKernel(), block_size=30)
    source.fail_in = 3
    with pytest.raises(OSError, match="disk gone"):
        greedy_pass.run()
    assert greedy_pass.visited == 90
    seen = []

    def stop_at_150(visited, kept):
        seen.append((visited, kept))
        if visited == 150:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        greedy_pass.run(on_progress=stop_at_150)
    assert [visited for visited, _ in seen] == [120, 150] and seen[-1][1] == len(greedy_pass.kept)
    greedy_pass.run()
    assert state(greedy_pass) == state(full_pass(vectors, order, 0.9))


def test_equal_rows_are_compared_once():
    """At threshold 1.0 all are kept, but each further copy would add one more comparison to every row."""
    vectors, scores = make_pool("equal", 2000, 8, np.float16, seed=21)
    kernel = NumpyKernel()
    greedy_pass = full_pass(vectors, ranked(scores), 1.0, kernel=kernel)
    assert len(greedy_pass.kept) == 2000
    unit = vectors.astype(np.float64) / np.abs(vectors.astype(np.float64)).max(axis=1, keepdims=True)
    assert len(kernel) == len(np.unique(unit, axis=0)) < 500


def test_a_budget_that_is_full_takes_no_more_rows():
    vectors, scores = make_pool("spread", 500, 30, np.float32, seed=20)
    source = Vectors(vectors)
    greedy_pass = GreedyPass(source, ranked(scores), 0.9, NumpyKernel())
    greedy_pass.run(40)
    assert len(greedy_pass.kept) == 40 and source.taken < 100
    taken = source.taken
    greedy_pass.run(40)
    greedy_pass.run(7)
    assert source.taken == taken and len(greedy_pass.kept) == 40


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (np.ones((3, 4), dtype=np.float32), r"\(3, 4\), expected float16, float32 or float64 \(3, 2\)"),
        (np.ones((2, 2), dtype=np.float32), r"\(2, 2\)"),
        (np.ones((3, 2), dtype=np.int8), "int8"),
        (np.zeros((3, 2), dtype=np.float32), r"rows \[5, 6, 7\] are zero or not finite"),
    ],
)
def test_vector_sources_that_break_their_contract_are_refused(answer, told):
    source = Vectors(np.ones((3, 2), dtype=np.float32))
    source.take = lambda rows: answer
    with pytest.raises(ValueError, match=told):
        GreedyPass(source, [5, 6, 7], 0.9, NumpyKernel()).run()


def test_passes_that_cannot_start_are_refused():
    source = Vectors(np.eye(3))
    used = NumpyKernel()
    used.append(np.eye(3, dtype=np.float32))
    with pytest.raises(ValueError, match="the kernel holds 3 rows already"):
        GreedyPass(source, [0, 1, 2], 0.9, used)
    with pytest.raises(ValueError, match="threshold is nan"):
        GreedyPass(source, [0, 1, 2], math.nan, NumpyKernel())
    with pytest.raises(ValueError, match="order has shape"):
        GreedyPass(source, [[0, 1, 2]], 0.9, NumpyKernel())
    with pytest.raises(ValueError, match="block_size is 0"):
        GreedyPass(source, [0, 1, 2], 0.9, NumpyKernel(), 0)
    with pytest.raises(ValueError, match="budget is 0"):
        GreedyPass(source, [0, 1, 2], 0.9, NumpyKernel()).run(0)
