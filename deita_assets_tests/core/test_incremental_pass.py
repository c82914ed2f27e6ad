"""A pass that makes use of an earlier one equals a pass that does not, in every field of every row."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.core.block_kernel import NumpyKernel
from deita_assets.core.incremental_earlier import earlier_pass
from deita_assets.core.incremental_pass import IncrementalPass
from deita_assets_tests.core.greedy_oracle import (
    DTYPES,
    KINDS,
    Vectors,
    full_pass,
    greedy,
    make_pool,
    ranked,
    similarity,
    state,
)

THRESHOLDS = [-0.5, 0.0, 0.5, 0.9, 0.999999, 1.0]
BLOCK_SIZES = [1, 2, 7, 64, None]


def told(before, order):
    """What a pass found, as a store gives it back, for another order; rows are their own keys."""
    visited = before.order[: before.visited]
    nearest = before.blocked_by[: before.visited]
    return earlier_pass(
        order.tolist(),
        visited.tolist(),
        kept=before.is_kept[: before.visited],
        blocked_by=[None if at < 0 else int(before.order[at]) for at in nearest],
        similarity=[None if np.isnan(value) else value for value in before.similarity[: before.visited]],
    )


def incremental(vectors, order, threshold, before, budget=None, **options):
    order = np.asarray(order)
    earlier = told(before, order)
    again = IncrementalPass(Vectors(vectors), order, threshold, NumpyKernel(), earlier=earlier, **options)
    again.run(budget)
    return again


def edited(rng, live, scores, share, top):
    """Some rows leave, some come (rows are numbered once and for all), some get another score."""
    live, scores = live.copy(), scores.copy()
    n = len(live)
    for _ in range(int(rng.integers(0, 1 + max(1, int(share * n))))):
        row = int(rng.integers(n))
        what = rng.integers(3)
        if what < 2:
            live[row] = bool(what)
        if what != 0:
            scores[row] = rng.integers(0, 6) if not top else 6
    live[rng.integers(n)] = True
    return live, scores


def order_of(live, scores):
    return np.array([row for row in ranked(scores) if live[row]], np.int64)


@given(
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from(DTYPES),
    n=st.integers(1, 90),
    d=st.integers(1, 6),
    threshold=st.sampled_from(THRESHOLDS),
    share=st.sampled_from([0.02, 0.1, 0.5, 2.0]),
    top=st.booleans(),
    budgets=st.lists(st.one_of(st.none(), st.integers(1, 60)), min_size=2, max_size=4),
    block_size=st.sampled_from(BLOCK_SIZES),
    seed=st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=150)
def test_edits_one_after_the_other(kind, dtype, n, d, threshold, share, top, budgets, block_size, seed):
    """Each pass is fed with the one before it, whatever its budget was."""
    rng = np.random.default_rng(seed)
    vectors, scores = make_pool(kind, n, d, dtype, seed)
    live = rng.random(n) < 0.8
    live[0] = True
    before = full_pass(vectors, order_of(live, scores), threshold, budgets[0])
    for budget in budgets[1:]:
        live, scores = edited(rng, live, scores, share, top)
        order = order_of(live, scores)
        before = incremental(vectors, order, threshold, before, budget, block_size=block_size)
        assert state(before) == state(full_pass(vectors, order, threshold, budget))


@given(
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from(DTYPES),
    n=st.integers(1, 25),
    threshold=st.sampled_from(THRESHOLDS),
    budget=st.one_of(st.none(), st.integers(1, 20)),
    block_size=st.sampled_from(BLOCK_SIZES),
    seed=st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=60)
def test_the_definition(kind, dtype, n, threshold, budget, block_size, seed):
    rng = np.random.default_rng(seed)
    vectors, scores = make_pool(kind, n, 3, dtype, seed)
    before = full_pass(vectors, order_of(np.ones(n, bool), scores), threshold, 15)
    live, scores = edited(rng, np.ones(n, bool), scores, 0.4, top=False)
    order = order_of(live, scores)
    again = incremental(vectors, order, threshold, before, budget, block_size=block_size)
    kept, decided = greedy(vectors, order.tolist(), threshold, budget)
    assert order[again.kept].tolist() == kept and again.visited == len(decided)
    assert again.exhausted == (len(decided) == len(order))
    for rank, row in enumerate(order.tolist()):
        keep, neighbour, nearest = decided.get(row, (False, -1, np.nan))
        assert again.is_kept[rank] == keep
        assert neighbour == (-1 if again.blocked_by[rank] < 0 else order[again.blocked_by[rank]])
        assert np.array_equal(again.similarity[rank], nearest, equal_nan=True)


@given(
    kind=st.sampled_from(KINDS),
    threshold=st.sampled_from([0.5, 0.95, 1.0]),
    budgets=st.tuples(st.integers(1, 80), st.integers(1, 60), st.integers(1, 120)),
    block_size=st.sampled_from(BLOCK_SIZES),
    seed=st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=30)
def test_a_pass_can_be_run_further(kind, threshold, budgets, block_size, seed):
    """Within what the earlier pass visited, beyond it, and to the end."""
    rng = np.random.default_rng(seed)
    vectors, scores = make_pool(kind, 150, 5, np.float32, seed)
    before = full_pass(vectors, order_of(np.ones(150, bool), scores), threshold, budgets[0])
    live, scores = edited(rng, np.ones(150, bool), scores, 0.1, top=False)
    order = order_of(live, scores)
    again = incremental(vectors, order, threshold, before, budgets[1], block_size=block_size)
    assert state(again) == state(full_pass(vectors, order, threshold, budgets[1]))
    again.run(budgets[2])
    assert state(again) == state(full_pass(vectors, order, threshold, max(budgets[1:])))
    again.run()
    assert state(again) == state(full_pass(vectors, order, threshold))


@given(
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from(DTYPES),
    thresholds=st.tuples(st.sampled_from(THRESHOLDS), st.sampled_from(THRESHOLDS)),
    frozen=st.tuples(st.integers(0, 30), st.integers(0, 30)),
    block_size=st.sampled_from(BLOCK_SIZES),
    seed=st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=80)
def test_another_threshold_and_other_frozen_rows(kind, dtype, thresholds, frozen, block_size, seed):
    rng = np.random.default_rng(seed)
    vectors, scores = make_pool(kind, 60, 4, dtype, seed)
    before = full_pass(vectors, order_of(np.ones(60, bool), scores), thresholds[0], frozen=frozen[0])
    live, scores = edited(rng, np.ones(60, bool), scores, 0.1, top=False)
    live[:40] = True
    order = order_of(live, scores)
    again = incremental(vectors, order, thresholds[1], before, block_size=block_size, frozen=frozen[1])
    assert state(again) == state(full_pass(vectors, order, thresholds[1], frozen=frozen[1]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ulps", [-1, 0, 1])
@pytest.mark.parametrize("d", [8, 384])
def test_pairs_at_the_threshold(dtype, ulps, d):
    """A row comes whose similarity to a kept one is the threshold, or one ulp off: no estimate tells."""
    rng = np.random.default_rng(d)
    base = rng.standard_normal((40, d))
    vectors = np.concatenate((base, base + 0.3 * rng.standard_normal((40, d)))).astype(dtype)
    exact = similarity(vectors[0], vectors[40])
    threshold = exact if ulps == 0 else np.nextafter(exact, ulps * np.inf)
    scores = np.arange(80.0)[::-1]
    scores[40] = 100  # the best row, which blocks the first of then or does not
    live = np.ones(80, bool)
    live[40] = False
    for first, then in ((live, np.ones(80, bool)), (np.ones(80, bool), live)):
        before = full_pass(vectors, order_of(first, scores), threshold)
        order = order_of(then, scores)
        again = incremental(vectors, order, threshold, before)
        assert state(again) == state(full_pass(vectors, order, threshold))
        if then.all():
            assert again.is_kept[1] == (ulps >= 0)


def test_a_tie_goes_to_the_row_kept_first_whether_new_or_not():
    """Three equal rows at threshold 1: the new one stands before, between or behind the two of then."""
    vectors = np.array([[1, 0], [1, 0], [1, 0], [3, 4]], np.float32)
    for place in range(4):
        order = [0, 1, 3]
        before = full_pass(vectors, np.array(order), 1.0)
        order.insert(place, 2)
        again = incremental(vectors, order, 1.0, before)
        assert state(again) == state(full_pass(vectors, np.array(order), 1.0))
        assert again.blocked_by[order.index(3)] == 0


def test_every_order_of_rows_that_tie():
    """Each of four orthogonal rows is as near to the last ones as the others: only the order tells which it is."""
    vectors = np.concatenate((np.eye(4), [[2, 1, 1, 2], [1, 1, 0, 0]])).astype(np.float32)
    before = full_pass(vectors, np.arange(6), 0.9)
    assert before.blocked_by.tolist()[4:] == [0, 0]
    for order in itertools.permutations(range(6)):
        if order.index(4) < 2 or order.index(5) < 2:
            continue
        again = incremental(vectors, order, 0.9, before)
        assert state(again) == state(full_pass(vectors, np.array(order), 0.9))


@pytest.mark.parametrize("block_size", [1, 5, 64, None])
def test_one_row_that_turns_a_long_chain(block_size):
    """Rows on an arc, each near its neighbours only: a new first one drops the second, which frees the third ..."""
    angle = 0.1 * np.arange(60)
    vectors = np.stack((np.cos(angle), np.sin(angle)), axis=1)
    before = full_pass(vectors, np.arange(1, 60), np.cos(0.15))
    assert before.kept == list(range(0, 59, 2))
    order = np.arange(60)
    again = incremental(vectors, order, np.cos(0.15), before, block_size=block_size)
    assert again.kept == list(range(0, 60, 2))
    assert state(again) == state(full_pass(vectors, order, np.cos(0.15)))


def test_what_a_quiet_pool_costs():
    """Nothing changed: no vector is taken but those of the first block, and no pair is compared."""
    vectors, scores = make_pool("clusters", 6000, 16, np.float32, seed=3)
    order = order_of(np.ones(6000, bool), scores)
    before = full_pass(vectors, order, 0.9)
    source = Vectors(vectors)
    again = IncrementalPass(source, order, 0.9, NumpyKernel(), earlier=told(before, order))
    again.run()
    assert state(again) == state(before)
    assert source.taken < 2100 and again.pairs < 2100


def test_what_few_edits_cost():
    """One row in a hundred comes, leaves or moves: a small part of the pairs of a pass from scratch."""
    vectors, scores = make_pool("spread", 6000, 24, np.float32, seed=4)
    rng = np.random.default_rng(4)
    scores = rng.permutation(6000).astype(float)
    live = rng.random(6000) > 0.005
    before = full_pass(vectors, order_of(live, scores), 0.8, 2500)
    came = live | (rng.random(6000) < 0.5)
    left = came & (rng.random(6000) > 0.003)
    moved = rng.random(6000) < 0.003
    scores[moved] = rng.random(moved.sum()) * 6000
    order = order_of(left, scores)
    again = incremental(vectors, order, 0.8, before, 2500)
    assert state(again) == state(full_pass(vectors, order, 0.8, 2500))
    kept_before = np.cumsum(again.is_kept[: again.visited]) - again.is_kept[: again.visited]
    assert 0 < again.pairs < 0.05 * kept_before.sum()


def test_pairs_counts_what_the_kernel_compares():
    class Counting(NumpyKernel):
        pairs = 0

        def near_best(self, block, margin):
            self.pairs += len(block) * len(self)
            return super().near_best(block, margin)

        def cross(self, rows, columns):
            self.pairs += len(rows) * len(columns)
            return super().cross(rows, columns)

    vectors, scores = make_pool("clusters", 500, 6, np.float32, seed=5)
    before = full_pass(vectors, order_of(np.ones(500, bool), scores), 0.9, 100)
    order = order_of(np.arange(500) % 20 > 0, scores)
    kernel = Counting()
    again = IncrementalPass(Vectors(vectors), order, 0.9, kernel, block_size=32, earlier=told(before, order))
    again.run()
    assert again.pairs == kernel.pairs > 0


@pytest.mark.parametrize("calls", range(12))
def test_a_failing_source_or_callback_leaves_a_pass_that_can_go_on(calls):
    vectors, scores = make_pool("clusters", 200, 5, np.float32, seed=19)
    before = full_pass(vectors, order_of(np.ones(200, bool), scores), 0.9)
    live, scores = edited(np.random.default_rng(6), np.ones(200, bool), scores, 0.1, top=False)
    order = order_of(live, scores)
    source = Vectors(vectors)
    again = IncrementalPass(source, order, 0.9, NumpyKernel(), 20, earlier=told(before, order))
    source.fail_in = calls
    with pytest.raises(OSError, match="disk gone"):
        again.run()
    assert again.visited < len(order) and not again.is_kept[again.visited :].any()

    def stop_at_once(visited, kept):
        assert (visited, kept) == (again.visited, len(again.kept))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        again.run(on_progress=stop_at_once)
    again.run()
    assert state(again) == state(full_pass(vectors, order, 0.9))


def test_kept_rows_of_quiet_blocks_survive_a_failing_source():
    """They are fetched when a search first needs them; the fetch may fail half-way."""
    vectors, _ = make_pool("spread", 400, 8, np.float32, seed=7)
    before = full_pass(vectors, np.arange(400), 0.9, 200)
    source = Vectors(vectors)
    order = np.arange(400)
    again = IncrementalPass(source, order, 0.9, NumpyKernel(), 10, earlier=told(before, order))
    again.run(190)
    source.fail_in = 7
    with pytest.raises(OSError, match="disk gone"):
        again.run()
    again.run()
    assert state(again) == state(full_pass(vectors, order, 0.9))


@pytest.mark.parametrize("scale", [1e-30, 1e25])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_extreme_length(scale, dtype):
    """Their squares leave float32; the rows are prepared with care then."""
    vectors, scores = make_pool("clusters", 120, 5, np.float64, seed=8)
    vectors[::7] *= scale
    if dtype is np.float64:
        vectors[::11] *= scale**5
    vectors = vectors.astype(dtype)
    before = full_pass(vectors, order_of(np.ones(120, bool), scores), 0.9)
    order = order_of(np.arange(120) % 9 > 0, scores)
    again = incremental(vectors, order, 0.9, before, block_size=16)
    assert state(again) == state(full_pass(vectors, order, 0.9))


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_rows_without_a_direction_are_refused(bad):
    vectors, scores = make_pool("spread", 50, 4, np.float32, seed=9)
    before = full_pass(vectors, np.arange(40), 0.9)
    vectors[45] = bad
    with pytest.raises(ValueError, match=r"rows \[45\] are zero or not finite"):
        incremental(vectors, np.arange(50), 0.9, before)


@pytest.mark.parametrize(
    ("answer", "told_error"),
    [
        (np.ones((3, 4), np.float32), r"\(3, 4\), expected float16, float32 or float64"),
        (np.ones((3, 2), np.int8), "int8"),
        (np.ones((3, 2), np.float64), "float64 after float32"),
    ],
)
def test_vector_sources_that_break_their_contract_are_refused(answer, told_error):
    vectors = np.array([[1, 0], [1, 9], [9, 1], [1, 1], [1, 1], [1, 1]], np.float32)
    before = full_pass(vectors[:3], np.arange(3), 1.0)
    source = Vectors(vectors)
    again = IncrementalPass(source, np.arange(6), 1.0, NumpyKernel(), 3, earlier=told(before, np.arange(6)))
    again.run(3)
    source.take = lambda rows: answer
    with pytest.raises(ValueError, match=told_error):
        again.run()


def test_equal_rows_are_compared_once():
    """At threshold 1.0 all are kept, but each further copy would add one more comparison to every row."""
    vectors, scores = make_pool("equal", 1500, 8, np.float16, seed=21)
    scores = np.arange(1500.0)
    before = full_pass(vectors, order_of(np.arange(1500) % 2 > 0, scores), 1.0)
    kernel = NumpyKernel()
    order = order_of(np.ones(1500, bool), scores)
    again = IncrementalPass(Vectors(vectors), order, 1.0, kernel, earlier=told(before, order))
    again.run()
    assert state(again) == state(full_pass(vectors, order, 1.0))
    assert len(kernel) == len(np.unique(vectors, axis=0)) < 1500


def test_an_earlier_pass_over_another_order_is_refused():
    vectors = np.eye(4, dtype=np.float32)
    earlier = told(full_pass(vectors, np.arange(4), 0.9), np.arange(4))
    with pytest.raises(ValueError, match=r"tells of 4 rows, expected the 3 of the order"):
        IncrementalPass(Vectors(vectors), np.arange(3), 0.9, NumpyKernel(), earlier=earlier)
