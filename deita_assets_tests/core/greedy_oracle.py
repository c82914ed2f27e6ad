"""A naive reading of REPR FILTER, and pools that are hard for a fast one."""

import math

import numpy as np

from deita_assets.core.block_kernel import NumpyKernel
from deita_assets.core.quotas import Quotas
from deita_assets.core.repr_filter import GreedyPass

DTYPES = [np.float16, np.float32, np.float64]
KINDS = ["spread", "lattice", "equal", "close", "clusters"]


def similarity(x, y):
    """Cosine of two stored vectors, one multiplication at a time."""
    x, y = [float(a) for a in x], [float(b) for b in y]
    dot = math.fsum(a * b for a, b in zip(x, y, strict=True))
    scale = math.sqrt(math.fsum(a * a for a in x) * math.fsum(b * b for b in y))
    return max(-1.0, min(1.0, dot / scale))


def greedy(vectors, order, threshold, budget=None):
    """Rows in order, each against every row kept so far; (kept, {row: (kept?, neighbour, similarity)})."""
    kept, decided = [], {}
    for row in order:
        if budget is not None and len(kept) == budget:
            break
        nearest, neighbour = math.nan, -1
        for other in kept:
            found = similarity(vectors[row], vectors[other])
            if neighbour == -1 or found > nearest:
                nearest, neighbour = found, other
        keep = not nearest > threshold
        decided[row] = (keep, neighbour, nearest)
        if keep:
            kept.append(row)
    return kept, decided


def greedy_with_quotas(vectors, order, threshold, budget, frozen, group, caps, floors, promised):
    """The same with frozen rows and quotas: {row: (verdict, neighbour, similarity)} and the kept rows.

    Quotas by what they promise: before a row of group g may be kept, g must be under its cap, and where floors
    are given, after keeping it the rest of `promised` rows must still do for what the floors lack.
    """
    kept, decided, count = [], {}, [0] * len(caps)
    for place, row in enumerate(order):
        if budget is not None and len(kept) == budget:
            break
        g = group[row]
        room = count[g] < caps[g]
        if floors is not None and count[g] >= floors[g]:
            lacking = sum(max(0, floors[h] - count[h]) for h in range(len(caps)))
            room = room and len(kept) + 1 + lacking <= promised
        if place >= frozen and not room:
            decided[row] = ("over_quota", -1, math.nan)
            continue
        nearest, neighbour = math.nan, -1
        if vectors is not None:
            for other in kept:
                found = similarity(vectors[row], vectors[other])
                if neighbour == -1 or found > nearest:
                    nearest, neighbour = found, other
        keep = place < frozen or not nearest > threshold
        decided[row] = ("kept" if keep else "near_duplicate", neighbour, nearest)
        if keep:
            kept.append(row)
            count[g] += 1
    return kept, decided


def ranked(scores, ids=None):
    return sorted(range(len(scores)), key=lambda row: (-scores[row], ids[row] if ids else row))


def assert_is_greedy(ledger, vectors, scores, threshold, budget=None, ids=None):
    """Every field of every row."""
    order = ranked(scores, ids)
    kept, decided = greedy(vectors, order, threshold, budget)
    assert ledger.order.tolist() == order
    assert ledger.kept.tolist() == kept
    assert (ledger.visited, ledger.exhausted) == (len(decided), len(decided) == len(order))
    for row in range(len(vectors)):
        keep, neighbour, nearest = decided.get(row, (None, -1, math.nan))
        verdict = {None: "unvisited", True: "kept", False: "near_duplicate"}[keep]
        assert ledger.verdict[row] == verdict
        assert ledger.rank[row] == order.index(row) + 1
        assert ledger.kept_position[row] == (kept.index(row) + 1 if keep else -1)
        assert ledger.blocked_by[row] == neighbour
        assert np.array_equal(ledger.similarity[row], nearest, equal_nan=True)


def same(a, b):
    """Whether two ledgers agree in every byte."""
    names = ("verdict", "rank", "kept_position", "blocked_by", "similarity", "order", "kept")
    equal = all(getattr(a, name).tobytes() == getattr(b, name).tobytes() for name in names)
    return equal and (a.visited, a.exhausted, a.threshold) == (b.visited, b.exhausted, b.threshold)


def make_pool(kind, n, d, dtype, seed):
    """Vectors and scores; scores are small integers, so that most of them tie."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((n, d))
    if kind == "lattice":
        vectors = np.round(vectors)
    if kind in ("equal", "close", "clusters"):
        noise = {"equal": 0.0, "close": 1e-7, "clusters": 0.1}[kind]
        vectors = vectors[rng.integers(0, max(1, n // 4), n)] + noise * vectors
        vectors *= 2.0 ** rng.integers(-2, 3, (n, 1))
    vectors = vectors.astype(dtype)
    vectors[~vectors.any(axis=1)] = 1
    return vectors, rng.integers(0, 4, n).astype(np.float64)


class Vectors:
    """A source that counts what is taken, and breaks down when told to."""

    def __init__(self, array):
        self.array, self.dimension, self.taken, self.fail_in = array, array.shape[1], 0, None

    def take(self, rows):
        if self.fail_in is not None:
            self.fail_in -= 1
            if self.fail_in < 0:
                self.fail_in = None
                raise OSError("disk gone")
        self.taken += len(rows)
        return self.array[rows]


def state(greedy_pass):
    return (
        greedy_pass.visited,
        greedy_pass.exhausted,
        list(greedy_pass.kept),
        greedy_pass.is_kept.tobytes(),
        greedy_pass.is_over_quota.tobytes(),
        greedy_pass.blocked_by.tobytes(),
        greedy_pass.similarity.tobytes(),
    )


def full_pass(vectors, order, threshold, budget=None, kernel=None, block_size=None, frozen=0, quotas=None):
    """`quotas`: arguments of `Quotas`, as a pass needs its own."""
    kernel = NumpyKernel() if kernel is None else kernel  # an empty kernel is falsy
    quotas = None if quotas is None else Quotas(*quotas)
    greedy_pass = GreedyPass(
        Vectors(vectors), order, threshold, kernel, block_size, frozen=frozen, quotas=quotas
    )
    greedy_pass.run(budget)
    return greedy_pass
