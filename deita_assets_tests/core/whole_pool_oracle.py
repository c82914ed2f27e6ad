"""Naive readings of k-center and facility location, one multiplication at a time."""

import math

import numpy as np

from deita_assets_tests.core.greedy_oracle import similarity


def all_similarities(vectors, order):
    """By ranks."""
    return [[similarity(vectors[a], vectors[b]) for b in order] for a in order]


def nearest_kept(found, rank, kept):
    """(rank of the nearest kept row, kept first wins; similarity)."""
    best = (-1, math.nan)
    for other in kept:
        if best[0] == -1 or found[rank][other] > best[1]:
            best = other, found[rank][other]
    return best


def k_center(vectors, order, budget, frozen=0):
    """[(rank, nearest kept rank, similarity)] in the order in which rows are kept."""
    found, decided = all_similarities(vectors, order), []
    while len(decided) < min(budget, len(order)):
        kept = [rank for rank, _, _ in decided]
        if len(kept) < max(1, frozen):
            chosen = len(kept)
        else:
            free = [rank for rank in range(len(order)) if rank not in kept]
            chosen = min(free, key=lambda rank: (max(found[rank][k] for k in kept), rank))
        decided.append((chosen, *nearest_kept(found, chosen, kept)))
    return decided


def facility_location(vectors, order, budget, frozen=0):
    """[(rank, nearest kept rank, similarity)] in the order in which rows are kept; integers throughout."""
    found, decided = all_similarities(vectors, order), []
    grid = [[max(0, round(s * 2**24)) for s in row] for row in found]
    ranks = range(len(order))
    while len(decided) < min(budget, len(order)):
        kept = [rank for rank, _, _ in decided]
        covered = [max((grid[i][k] for k in kept), default=0) for i in ranks]

        def gain(j, covered=covered):
            return sum(max(grid[i][j], covered[i]) - covered[i] for i in ranks)

        if len(kept) < frozen:
            chosen = len(kept)
        else:
            chosen = min((rank for rank in ranks if rank not in kept), key=lambda rank: (-gain(rank), rank))
        decided.append((chosen, *nearest_kept(found, chosen, kept)))
    return decided


def assert_is(done, decided):
    """Every attribute of a pass, for every row."""
    n = len(done.order)
    kept = [rank for rank, _, _ in decided]
    assert done.kept == kept
    assert (done.visited, done.exhausted) == (len(kept), len(kept) == n)
    assert np.flatnonzero(done.is_kept).tolist() == sorted(kept)
    assert not done.is_over_quota.any()
    by_rank = {rank: (neighbour, nearest) for rank, neighbour, nearest in decided}
    for rank in range(n):
        neighbour, nearest = by_rank.get(rank, (-1, math.nan))
        assert done.blocked_by[rank] == neighbour
        assert np.array_equal(done.similarity[rank], nearest, equal_nan=True)


def stored(done):
    """What a ledger keeps of a pass."""
    return {"kept": done.kept, "blocked_by": done.blocked_by, "similarity": done.similarity}


def unit_pool(n, dimension, seed):
    """float16 rows of about unit length in clusters, a tenth of them copies."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(1, n // 20), dimension))
    vectors = centres[rng.integers(0, len(centres), n)] + rng.standard_normal((n, dimension))
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    vectors[: n // 10] = vectors[rng.integers(0, n, n // 10)]
    return vectors.astype(np.float16)
