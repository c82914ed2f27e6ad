"""Many thresholds in one walk, against one pass for each of them and against the definition."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.core import threshold_walk
from deita_assets.core.block_kernel import NumpyKernel
from deita_assets.core.threshold_walk import has_bit, walk_thresholds
from deita_assets_tests.core.greedy_oracle import (
    DTYPES,
    KINDS,
    Vectors,
    full_pass,
    greedy,
    make_pool,
    ranked,
    similarity,
)


def walk(vectors, order, grid, **options):
    return walk_thresholds(Vectors(vectors), order, grid, NumpyKernel(), **options)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    """So that a pool of a hundred rows has many blocks and tiles."""
    monkeypatch.setattr(threshold_walk, "_BLOCK_ROWS", 16)
    monkeypatch.setattr(threshold_walk, "_TILE_ROWS", 24)


def close_to(values):
    """Each value with its neighbours in float64, as an ascending grid."""
    near = {t for v in values for t in (np.nextafter(v, -2), v, np.nextafter(v, 2))}
    return sorted(float(t) for t in near if -1 < t <= 1)


@given(
    kind=st.sampled_from(KINDS),
    n=st.integers(1, 110),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 2**16),
    picked=st.lists(st.integers(0, 10**6), min_size=1, max_size=12),
)
@settings(deadline=None, max_examples=120)
def test_every_threshold_keeps_what_its_own_pass_keeps(kind, n, dtype, seed, picked):
    """Thresholds that are similarities of the pool, and their neighbours one unit in the last place away."""
    vectors, scores = make_pool(kind, n, 5, dtype, seed)
    order = ranked(scores)
    pairs = [((p * 7919) % n, (p * 104_729 + 1) % n) for p in picked]
    grid = close_to([similarity(vectors[a], vectors[b]) for a, b in pairs] + [0.5, 0.9, 1.0])
    found = walk(vectors, order, grid)
    for at, threshold in enumerate(grid):
        expected = full_pass(vectors, order, threshold)
        assert np.array_equal(found.is_kept(at), expected.is_kept), threshold


@pytest.mark.parametrize("kind", KINDS)
def test_bands_nearest_rows_and_counts_by_the_definition(kind):
    vectors, scores = make_pool(kind, 70, 4, np.float32, seed=3)
    order, grid = ranked(scores), [-0.2, 0.3, 0.7, 0.9, 0.97]
    found = walk(vectors, order, grid, pairs_per_band=1000)
    place = {row: at for at, row in enumerate(order)}
    for at, threshold in enumerate(grid):
        kept, decided = greedy(vectors, order, threshold)
        top = grid[at + 1] if at + 1 < len(grid) else 1.0
        band = {
            place[row]: (place[nearest], value)
            for row, (keep, nearest, value) in decided.items()
            if not keep and value <= top
        }
        assert np.flatnonzero(has_bit(found.in_band, at)).tolist() == sorted(band)
        assert found.band_rows(at) == len(band)
        assert {pair.row: (pair.nearest, pair.similarity) for pair in found.pairs[at]} == band
        ranks = [place[row] for row in kept]
        for visited, line in zip((0, 1, 33, 70), found.kept_after([0, 1, 33, 70]), strict=True):
            assert line[at] == sum(rank < visited for rank in ranks)
    for rank, row in enumerate(order):
        nearest = max(similarity(vectors[row], vectors[other]) for other in order if other != row)
        assert math.isclose(found.nearest_similarity[rank], nearest, abs_tol=1e-5)


def test_sampled_pairs_are_few_spread_over_the_order_and_always_the_same():
    vectors, scores = make_pool("clusters", 300, 5, np.float16, seed=4)
    order = ranked(scores)
    first, again = (walk(vectors, order, [0.5, 0.8], pairs_per_band=7) for _ in range(2))
    assert first.pairs == again.pairs
    for at in range(2):
        rows = [pair.row for pair in first.pairs[at]]
        band = np.flatnonzero(has_bit(first.in_band, at)).tolist()
        assert len(band) > 7 == len(rows)
        assert (rows[0], rows[-1]) == (band[0], band[-1])
        assert set(rows) <= set(band)


def test_block_and_tile_sizes_change_nothing(monkeypatch):
    vectors, scores = make_pool("clusters", 120, 6, np.float32, seed=5)
    order, grid = ranked(scores), [0.1, 0.5, 0.8, 0.99, 1.0]
    first = walk(vectors, order, grid)
    for block, tile in ((1, 1), (7, 3), (500, 500)):
        monkeypatch.setattr(threshold_walk, "_BLOCK_ROWS", block)
        monkeypatch.setattr(threshold_walk, "_TILE_ROWS", tile)
        other = walk(vectors, order, grid)
        assert other.kept_at.tobytes() == first.kept_at.tobytes()
        assert other.in_band.tobytes() == first.in_band.tobytes()
        assert other.pairs == first.pairs
        assert np.allclose(other.nearest_similarity, first.nearest_similarity, atol=1e-6)


def test_the_most_thresholds_fit(monkeypatch):
    vectors, scores = make_pool("clusters", 90, 5, np.float32, seed=6)
    grid = np.linspace(0.2, 1.0, threshold_walk.MOST_THRESHOLDS)
    found = walk(vectors, ranked(scores), grid)
    for at in (0, 30, len(grid) - 1):
        assert found.is_kept(at).tolist() == full_pass(vectors, ranked(scores), grid[at]).is_kept.tolist()
    assert found.is_kept(len(grid) - 1).all()  # at 1.0 even equal rows are kept


def test_no_rows_and_one_row():
    none = walk(np.empty((0, 3), np.float32), [], [0.5])
    assert none.kept_after([0]).tolist() == [[0]]
    assert none.pairs == ((),)
    one = walk(np.ones((1, 3), np.float32), [0], [0.5])
    assert one.kept_after([1]).tolist() == [[1]]
    assert one.nearest_similarity.tolist() == [-math.inf]


def test_progress_counts_rows_kept_at_any_threshold():
    vectors = np.repeat(np.eye(2, dtype=np.float32), [30, 1], axis=0)
    told = []
    walk(vectors, np.arange(31), [0.5, 0.9], on_progress=lambda visited, kept: told.append((visited, kept)))
    assert told == [(16, 1), (31, 2)]


@pytest.mark.parametrize("grid", [[], [0.5, 0.5], [0.9, 0.5], [-1.0], [1.1], list(np.linspace(0, 1, 63))])
def test_grids_that_cannot_be_used_are_refused(grid):
    with pytest.raises(ValueError, match="grid is"):
        walk(np.eye(3), [0, 1, 2], grid)


def test_a_row_without_direction_is_refused():
    with pytest.raises(ValueError, match=r"rows \[1\] are zero"):
        walk(np.array([[1.0, 0], [0, 0]]), [0, 1], [0.5])
