"""REPR FILTER against the definition of the official filter, and every documented difference from it by example."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets import repr_filter
from deita_assets_tests.core.greedy_oracle import similarity


def cosines(rows, dtype=np.float64, times=1):
    """All pairs, of rows normalised so many times in `dtype`."""
    rows = rows.astype(dtype)
    with np.errstate(invalid="ignore"):
        for _ in range(times):
            rows = rows / np.sqrt((rows * rows).sum(axis=1, dtype=dtype))[:, None]
    return (rows[:, None, :] * rows[None, :, :]).sum(axis=2, dtype=dtype)


def official(embeddings, scores, threshold, size=-1, batch_size=1, cosine=cosines):
    """What the official filter decides: input rows in the order in which they are chosen.

    Rows by descending score, missing scores last. The first is chosen. Of each further batch, a row is left out if
    its cosine to some chosen row, or to some earlier row of the batch, left out or not, is above the threshold.
    """
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    near = cosine(np.asarray(embeddings)[order]) > threshold
    chosen = [0]
    for start in range(1, len(order), batch_size):
        batch = range(start, min(start + batch_size, len(order)))
        earlier = {row: [*chosen, *range(start, row)] for row in batch}
        chosen += [row for row in batch if not near[row, earlier[row]].any()]
        if size != -1 and len(chosen) >= size:
            break
    return order[chosen if size == -1 else chosen[:size]].tolist()


def make_rows(kind, n, d, rng):
    rows = rng.standard_normal((n, d))
    if kind == "clusters":
        rows = rows[rng.integers(0, max(1, n // 4), n)] + 0.3 * rows
    if kind == "copies":
        rows = rows[rng.integers(0, max(1, n // 3), n)] * rng.uniform(0.5, 2, (n, 1))
    return rows


@given(
    kind=st.sampled_from(["spread", "clusters", "copies"]),
    n=st.integers(1, 80),
    d=st.integers(2, 12),
    threshold=st.floats(-0.5, 0.999),
    size=st.integers(1, 90),
    unlimited=st.booleans(),
    seed=st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=200)
def test_keeps_what_the_official_filter_chooses(kind, n, d, threshold, size, unlimited, seed):
    """Wherever its outcome is well defined: no tied scores, no similarity within rounding of the threshold."""
    rng = np.random.default_rng(seed)
    rows, scores = make_rows(kind, n, d, rng), rng.permutation(n).astype(float)
    found = np.array(cosines(rows))
    if (np.abs(found - threshold) < 1e-12).any():
        return
    ledger = repr_filter(rows, scores, threshold=threshold, budget=None if unlimited else size)
    assert ledger.kept.tolist() == official(rows, scores, threshold, -1 if unlimited else size)


def at_angles(*degrees):
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=1)


def test_in_its_batches_rows_that_were_left_out_still_block():
    """a ~ b ~ c, and a not ~ c: with batch_size 4 the official filter loses c to b, which it left out itself."""
    far, a, b, c = 90, 0, 10, 20
    rows, scores, threshold = at_angles(far, a, b, c), [4, 3, 2, 1], np.cos(np.radians(15))
    assert official(rows, scores, threshold) == [0, 1, 3]
    assert official(rows, scores, threshold, batch_size=4) == [0, 1]
    for block_size in (None, 1, 2, 4):  # ours is a matter of speed alone
        ledger = repr_filter(rows, scores, threshold=threshold, block_size=block_size)
        assert ledger.kept.tolist() == [0, 1, 3]


def test_its_zero_vectors_are_always_chosen():
    rows = np.array([[1.0, 0], [0, 0], [1, 0], [0, 0]])
    assert official(rows, [4, 3, 2, 1], 0.9) == [0, 1, 3]
    with pytest.raises(ValueError, match="row 1: embedding is zero or not finite"):
        repr_filter(rows, [4, 3, 2, 1], threshold=0.9)
    ledger = repr_filter(rows, [4, 3, 2, 1], threshold=0.9, invalid="mark")
    assert ledger.verdict.tolist() == ["kept", "invalid", "near_duplicate", "invalid"]


def test_its_float32_decides_otherwise_within_rounding_of_the_threshold_only():
    rng = np.random.default_rng(5)
    otherwise = 0
    for _ in range(200):
        first = rng.standard_normal(64)
        pair = np.stack([first, first + 0.4 * rng.standard_normal(64)]).astype(np.float32)
        exact = similarity(*pair)
        narrow = float(cosines(pair, np.float32, times=2)[0, 1])
        assert abs(narrow - exact) < 1e-6
        ours = repr_filter(pair, [2, 1], threshold=exact).kept.tolist()
        assert ours == [0, 1]  # equal to the threshold is not above it

        def in_float32(rows):
            return cosines(rows, np.float32, times=2)

        otherwise += official(pair, [2, 1], np.float32(exact), cosine=in_float32) != ours
        for threshold in (exact - 1e-6, exact + 1e-6):
            ours = repr_filter(pair, [2, 1], threshold=threshold).kept.tolist()
            assert official(pair, [2, 1], np.float32(threshold), cosine=in_float32) == ours
    assert otherwise > 20


def test_at_threshold_one_its_equal_rows_are_a_matter_of_rounding():
    rows = np.random.default_rng(6).standard_normal((300, 1, 48)).astype(np.float32)
    left_out = 0
    for row in rows:
        twice = np.repeat(row, 2, axis=0)
        left_out += official(twice, [2, 1], 1.0, cosine=lambda r: cosines(r, np.float32, times=2)) == [0]
        assert repr_filter(twice, [2, 1], threshold=1.0).kept.tolist() == [0, 1]
    assert 30 < left_out < 270


def test_ties_have_an_order_here():
    """The official sort is unstable, so tied rows come in an order of the library's making."""
    rows, ids = at_angles(0, 30, 60, 90), ["d", "b", "a", "c"]
    ledger = repr_filter(rows, [1, 1, 1, 1], threshold=0.99, ids=ids)
    assert [ids[row] for row in ledger.kept] == ["a", "b", "c", "d"]


def test_its_missing_scores_come_last_and_may_be_chosen():
    rows, scores = at_angles(0, 45, 90), [1, np.nan, 2]
    assert official(rows, scores, 0.9) == [2, 0, 1]
    with pytest.raises(ValueError, match="score is nan"):
        repr_filter(rows, scores, threshold=0.9)
    ledger = repr_filter(rows, scores, threshold=0.9, invalid="mark")
    assert ledger.kept.tolist() == [2, 0] and ledger.verdict[1] == "unscored"


def test_its_sizes_and_our_budgets():
    rows, scores = at_angles(0, 45, 90), [3, 2, 1]
    assert official(rows, scores, 0.9, size=0) == [] and official(rows, scores, 0.9, size=-1) == [0, 1, 2]
    for budget in (0, -1):
        with pytest.raises(ValueError, match=f"budget is {budget}"):
            repr_filter(rows, scores, threshold=0.9, budget=budget)
    assert repr_filter(rows, scores, threshold=0.9).kept.tolist() == [0, 1, 2]
    short = repr_filter(rows, scores, threshold=0.5, budget=3)  # both choose fewer than asked for
    assert short.kept.tolist() == official(rows, scores, 0.5, size=3) == [0, 2] and short.exhausted


def test_an_empty_pool_is_an_error_there_and_an_empty_ledger_here():
    with pytest.raises(IndexError):
        official(np.empty((0, 3)), [], 0.9)
    assert repr_filter(np.empty((0, 3)), [], threshold=0.9).kept.tolist() == []


def test_float16_storage_moves_similarities_by_less_than_a_thousandth():
    rng = np.random.default_rng(7)
    first = rng.standard_normal((200, 384))
    pairs = np.stack([first, first + 0.4 * rng.standard_normal(first.shape)], axis=1)
    pairs /= np.linalg.norm(pairs, axis=2)[:, :, None]
    moved = [
        abs(similarity(*pair.astype(np.float16)) - similarity(*pair.astype(np.float32))) for pair in pairs
    ]
    assert 1e-7 < max(moved) < 1e-4  # the bound is 2 * 2**-11, about 0.00098
    half = pairs[0].astype(np.float16)  # what was stored is compared exactly
    assert repr_filter(half, [2, 1], threshold=0).similarity[1] == similarity(*half)
