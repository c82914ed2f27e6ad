"""What REPR FILTER costs after an edit of the pool: from scratch, and with what the pass before the edit found.

    python benchmarks/reselection.py                                    # 20,000 rows, budget 6,000; a minute
    python benchmarks/reselection.py --rows 300000 --budget 10000       # needs 2 GB
    python benchmarks/reselection.py --share 0.001 --kinds added

Both run on one thread, in turns, timed by `time.process_time`; of each the fastest round counts. Every field of every
row has to be equal before any time is printed. Time includes telling the earlier pass in the new order
(`earlier_pass`), but neither reading a stored ledger nor vectors from disk.

Pairs are pairs of rows compared: from scratch, kept rows before each visited row; incrementally, all that went through
a matrix product. An edit changes a share of all rows, drawn uniformly:

- added, removed; rescored: new scores, uniform as the old ones; mixed: a third of the share of each
- added_top, removed_top: rows with the highest scores of all, the worst case, as every later row saw them

The pool is that of `benchmarks/selection.py`.
"""

from __future__ import annotations

import argparse
import time

from selection import make_pool  # first: it sets the number of threads

import numpy as np  # isort: skip

from deita_assets.core.block_kernel import NumpyKernel
from deita_assets.core.incremental_earlier import earlier_pass
from deita_assets.core.incremental_pass import IncrementalPass
from deita_assets.core.repr_filter import GreedyPass
from deita_assets.core.score_order import score_order

KINDS = ("added", "removed", "rescored", "mixed", "added_top", "removed_top")


class Rows:
    """Vectors in memory."""

    def __init__(self, vectors):
        self.vectors, self.dimension = vectors, vectors.shape[1]

    def take(self, rows):
        return self.vectors[rows]


def edit(kind, share, scores, rng):
    """(order before, order after) of the rows, by number."""
    n = len(scores)
    count = int(share * n)
    drawn = rng.permutation(n)
    before, after, new_scores = np.ones(n, bool), np.ones(n, bool), scores.copy()
    if kind in ("added", "mixed"):
        before[drawn[: count if kind == "added" else count // 3]] = False
    if kind in ("removed", "mixed"):
        after[drawn[count : 2 * count if kind == "removed" else count + count // 3]] = False
    if kind in ("rescored", "mixed"):
        moved = drawn[2 * count : 3 * count if kind == "rescored" else 2 * count + count // 3]
        new_scores[moved] = rng.uniform(scores.min(), scores.max(), len(moved))
    if kind == "added_top":
        before[drawn[:count]] = False
        new_scores[drawn[:count]] = scores.max() + rng.permutation(count)
    if kind == "removed_top":
        after[score_order(scores)[:count]] = False
    return order_of(scores, before), order_of(new_scores, after)


def order_of(scores, live):
    order = score_order(scores)
    return order[live[order]]


def from_scratch(source, order, options):
    greedy = GreedyPass(source, order, options.threshold, NumpyKernel())
    greedy.run(options.budget)
    return greedy


def stored(before, keys):
    """What a ledger holds of a pass."""
    visited = before.order[: before.visited]
    nearest = before.blocked_by[: before.visited]
    return {
        "visited": [keys[row] for row in visited],
        "kept": before.is_kept[: before.visited],
        "blocked_by": [None if at < 0 else keys[before.order[at]] for at in nearest],
        "similarity": before.similarity[: before.visited],
    }


def incremental(source, order, keys_in_order, found, options):
    earlier = earlier_pass(keys_in_order, **found)
    greedy = IncrementalPass(source, order, options.threshold, NumpyKernel(), earlier=earlier)
    greedy.run(options.budget)
    return greedy


def timed(function, *arguments):
    start = time.process_time()
    result = function(*arguments)
    return time.process_time() - start, result


def measure(kind, source, scores, options):
    """Both in turns. Returns (seconds from scratch, seconds, pairs from scratch, pairs)."""
    rng = np.random.default_rng(options.seed)
    keys = [f"pool:{row:032x}" for row in range(len(scores))]
    order_before, order = edit(kind, options.share, scores, rng)
    found = stored(from_scratch(source, order_before, options), keys)
    keys_in_order = [keys[row] for row in order]
    seconds = ([], [])
    for _ in range(options.rounds):
        spent, full = timed(from_scratch, source, order, options)
        seconds[0].append(spent)
        spent, quick = timed(incremental, source, order, keys_in_order, found, options)
        seconds[1].append(spent)
        require_equal(full, quick)
    visited = slice(full.visited)
    kept_before = np.cumsum(full.is_kept[visited]) - full.is_kept[visited]
    return min(seconds[0]), min(seconds[1]), int(kept_before.sum()), quick.pairs


def require_equal(full, quick):
    names = ("order", "is_kept", "is_over_quota", "blocked_by", "similarity")
    same = all(getattr(full, name).tobytes() == getattr(quick, name).tobytes() for name in names)
    if not same or (full.kept, full.visited, full.exhausted) != (quick.kept, quick.visited, quick.exhausted):
        raise SystemExit("the passes differ")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--budget", type=int, default=6_000)
    parser.add_argument("--threshold", type=float, default=0.9)
    parser.add_argument("--duplicates", type=float, default=0.4, help="share of near-duplicates")
    parser.add_argument("--dtype", choices=["float16", "float32", "float64"], default="float16")
    parser.add_argument("--share", type=float, default=0.01, help="share of the rows that an edit changes")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    vectors, scores = make_pool(
        options.rows, options.dimension, options.duplicates, options.dtype, options.seed
    )
    print(
        f"N {options.rows:,}  d {options.dimension}  {options.dtype}  threshold {options.threshold}  "
        f"budget {options.budget:,}  near-duplicates {options.duplicates:.0%}; equal in every field"
    )
    for kind in options.kinds:
        scratch, spent, all_pairs, pairs = measure(kind, Rows(vectors), scores, options)
        print(
            f"  {kind:<12} {options.share:6.2%} of the rows   pairs {pairs:>13,} of {all_pairs:>13,} = "
            f"{pairs / all_pairs:6.2%}   CPU {spent:8.4f} s of {scratch:8.4f} s = {spent / scratch:6.1%}"
        )


if __name__ == "__main__":
    main()
