"""REPR FILTER against a naive reading of its definition."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets import repr_filter
from deita_assets_tests.core.greedy_oracle import DTYPES, KINDS, assert_is_greedy, make_pool, same, similarity


@given(
    kind=st.sampled_from(KINDS),
    n=st.integers(1, 60),
    d=st.integers(1, 9),
    dtype=st.sampled_from(DTYPES),
    threshold=st.sampled_from([-0.9, 0.0, 0.5, 0.9, 0.999, 1 - 1e-7, 1.0]),
    budget=st.one_of(st.none(), st.integers(1, 60)),
    block_size=st.sampled_from([None, 1, 2, 7, 64]),
    seed=st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=250)
def test_is_the_greedy_pass(kind, n, d, dtype, threshold, budget, block_size, seed):
    vectors, scores = make_pool(kind, n, d, dtype, seed)
    ledger = repr_filter(vectors, scores, threshold=threshold, budget=budget, block_size=block_size)
    assert_is_greedy(ledger, vectors, scores, threshold, budget)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("block_size", [None, 1, 50])
def test_a_larger_pool_of_clusters(dtype, block_size):
    vectors, scores = make_pool("clusters", 400, 24, dtype, seed=7)
    ledger = repr_filter(vectors, scores, threshold=0.95, block_size=block_size)
    assert 20 < len(ledger.kept) < 380
    assert_is_greedy(ledger, vectors, scores, 0.95)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("block_size", [1, 16])
def test_one_ulp_around_the_threshold(dtype, block_size):
    """Drop iff similarity > threshold: equality is kept, the next float below the similarity drops."""
    rng = np.random.default_rng(11)
    for _ in range(40):
        pair = rng.standard_normal((2, 12))
        pair[1] = 3 * pair[0] + rng.standard_normal(12)
        pair = pair.astype(dtype)
        exact = similarity(*pair)
        for threshold, kept in (
            (exact, 2),
            (np.nextafter(exact, 2), 2),
            (np.nextafter(exact, -2), 1),
        ):
            ledger = repr_filter(pair, [2, 1], threshold=threshold, block_size=block_size)
            assert len(ledger.kept) == kept
            assert ledger.similarity[1] == exact and ledger.blocked_by[1] == 0


def test_many_pairs_planted_around_one_threshold():
    """Rows whose similarity to the first lies within a few ulp of the threshold, on both sides."""
    rng = np.random.default_rng(12)
    first = rng.standard_normal(40)
    first /= np.linalg.norm(first)
    others = rng.standard_normal((300, 40))
    others -= np.outer(others @ first, first)
    others /= np.linalg.norm(others, axis=1)[:, None]
    vectors = np.vstack([first, 0.8 * first + 0.6 * others])
    threshold = sorted(similarity(vectors[0], other) for other in vectors[1:])[150]
    scores = -np.arange(301.0)
    ledger = repr_filter(vectors, scores, threshold=threshold)
    assert_is_greedy(ledger, vectors, scores, threshold)
    dropped = (ledger.similarity > threshold) & (ledger.similarity < threshold + 1e-14)
    spared = (ledger.similarity <= threshold) & (ledger.similarity > threshold - 1e-14)
    assert dropped.sum() > 10 and spared.sum() > 10
    assert set(ledger.verdict[spared]) == {"kept"} and set(ledger.verdict[dropped]) == {"near_duplicate"}


def test_block_size_does_not_matter():
    vectors, scores = make_pool("clusters", 1500, 40, np.float16, seed=8)
    expected = repr_filter(vectors, scores, threshold=0.9)
    for block_size in (1, 33, 256, 5000):
        assert same(repr_filter(vectors, scores, threshold=0.9, block_size=block_size), expected)


#: Prints a digest of everything that a selection found. Argument: whether torch, hence bfloat16, is there.
DIGEST = """
import hashlib, sys
if sys.argv[1] == "torch":
    import torch
import numpy as np
from deita_assets import repr_filter
from deita_assets_tests.core.greedy_oracle import make_pool
digest = hashlib.sha256()
for kind in ("clusters", "close"):
    vectors, scores = make_pool(kind, 1600, 96, np.float32, seed=8)
    found = repr_filter(vectors, scores, threshold=0.995)
    assert kind == "close" or len(found.kept) > 512
    digest.update(found.similarity.tobytes() + found.blocked_by.tobytes() + found.kept.tobytes())
print(digest.hexdigest())
"""


def test_neither_threads_nor_what_is_loaded_matter():
    """In processes of their own, as thread counts are read when libraries are loaded."""
    found = set()
    for threads, loaded in (("1", "no torch"), ("2", "no torch"), ("2", "torch")):
        counts = {f"{name}_NUM_THREADS": threads for name in ("OMP", "OPENBLAS", "MKL")}
        command = [sys.executable, "-c", DIGEST, loaded]
        done = subprocess.run(
            command, env={**os.environ, **counts}, capture_output=True, text=True, check=True
        )
        found.add(done.stdout)
    assert len(found) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_smaller_budgets_are_prefixes(kind):
    vectors, scores = make_pool(kind, 300, 8, np.float32, seed=9)
    whole = repr_filter(vectors, scores, threshold=0.8)
    for budget in (1, 2, 3, 10, 40, 299, 300, 1000):
        ledger = repr_filter(vectors, scores, threshold=0.8, budget=budget)
        assert ledger.kept.tolist() == whole.kept[:budget].tolist() == whole.at_budget(budget).tolist()
        rows = ledger.order[: ledger.visited]
        assert np.array_equal(ledger.similarity[rows], whole.similarity[rows], equal_nan=True)
        assert np.array_equal(ledger.blocked_by[rows], whole.blocked_by[rows])
        assert len(ledger.kept) < budget or ledger.verdict[rows[-1]] == "kept"


def test_order_of_input_does_not_matter_with_ids():
    vectors, scores = make_pool("equal", 200, 5, np.float32, seed=10)
    ids = [f"row-{i:03d}" for i in range(200)]
    expected = repr_filter(vectors, scores, threshold=0.9, ids=ids)
    assert_is_greedy(expected, vectors, scores, 0.9, ids=ids)
    by_id = {ids[row]: expected.similarity[row] for row in range(200)}
    for seed in range(5):
        moved = np.random.default_rng(seed).permutation(200)
        ledger = repr_filter(vectors[moved], scores[moved], threshold=0.9, ids=[ids[i] for i in moved])
        assert [ids[moved[row]] for row in ledger.kept] == [ids[row] for row in expected.kept]
        found = [by_id[ids[moved[row]]] for row in range(200)]
        assert np.array_equal(ledger.similarity, found, equal_nan=True)


def test_ties_go_by_code_point_and_without_ids_by_row():
    ids = ["b", "é", "a", "a\0", "Z", "\U0001f600", "￿", "10", "9"]
    ledger = repr_filter(np.eye(9), np.zeros(9), threshold=0.5, ids=ids)
    assert [ids[row] for row in ledger.kept] == ["10", "9", "Z", "a", "a\0", "b", "é", "￿", "\U0001f600"]
    assert repr_filter(np.eye(9), np.zeros(9), threshold=0.5).kept.tolist() == list(range(9))
    assert repr_filter(np.eye(2), [-0.0, 0.0], threshold=0.5).kept.tolist() == [0, 1]


def test_ties_in_similarity_go_to_the_row_kept_first():
    vectors = np.array([[1.0, 0], [0, 1], [1, 1], [1, 1]])
    for block_size in (1, 2, 4):
        ledger = repr_filter(vectors, [4, 3, 2, 1], threshold=0.99, block_size=block_size)
        assert ledger.blocked_by.tolist() == [-1, 0, 0, 2]
        assert ledger.similarity[1:].tolist() == [0.0, similarity([1, 1], [1, 0]), 1.0]


def test_threshold_one_keeps_even_equal_rows_and_names_the_first():
    vectors = np.tile(np.random.default_rng(0).standard_normal(32), (3000, 1)).astype(np.float32)
    ledger = repr_filter(vectors, np.zeros(3000), threshold=1.0)
    assert len(ledger.kept) == 3000
    assert set(ledger.blocked_by[1:].tolist()) == {0} and set(ledger.similarity[1:].tolist()) == {1.0}
    almost = repr_filter(vectors, np.zeros(3000), threshold=np.nextafter(1.0, 0))
    assert almost.kept.tolist() == [0] and almost.counts()["near_duplicate"] == 2999


def test_length_of_vectors_does_not_matter():
    vectors, scores = make_pool("clusters", 150, 10, np.float64, seed=13)
    expected = repr_filter(vectors, scores, threshold=0.8)
    rng = np.random.default_rng(14)
    for exponents in (rng.integers(-60, 60, (150, 1)), np.full((150, 1), 900), np.full((150, 1), -1000)):
        assert same(repr_filter(np.ldexp(vectors, exponents), scores, threshold=0.8), expected)
