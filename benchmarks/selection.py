"""CPU time of REPR FILTER: ours, the reference arithmetic, and a search-one-add-one loop, on the same pool.

    python benchmarks/selection.py                                   # under a minute
    python benchmarks/selection.py --rows 20000 --budget 6000
    python benchmarks/selection.py --rows 5000 --budget 0            # to the end of the pool

All run on one thread, in turns, timed by `time.process_time`: on a shared machine wall times compare neighbours,
not programs. The kept rows must be equal before any time is printed.

- ours: `deita_assets.repr_filter`, ledger with exact neighbours and similarities included.
- reference: what the reference implementation computes for each candidate: all kept rows gathered from a float64
  array, cast to float32, both sides normalised twice, one 1 x k product. Its list building is not timed.
- loop: float32 rows on a flat index, searched one by one and added if kept; faiss if installed, else numpy.

The floor is 2 * d operations for each visited row and row kept before it, at the speed of this machine's float32
matrix product. The pool is synthetic: a power-law spectrum with near-duplicates; prefiltering is not measured.
"""

from __future__ import annotations

import argparse
import os
import time

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # read when the libraries below are loaded

import numpy as np  # noqa: E402
import torch  # noqa: E402

from deita_assets import repr_filter  # noqa: E402


def make_pool(rows, dimension, duplicates, dtype, seed):
    """Unit vectors, a share of them near-duplicates (similarity about 0.98) of others, and distinct scores."""
    rng = np.random.default_rng(seed)
    spectrum = np.arange(1, dimension + 1) ** -0.3
    vectors = rng.standard_normal((rows, dimension)) * spectrum
    copies = int(rows * duplicates)
    if copies:
        originals = rng.integers(copies, rows, copies)
        vectors[:copies] = vectors[originals] + 0.2 * vectors[:copies]
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    return vectors[rng.permutation(rows)].astype(dtype), rng.permutation(rows).astype(np.float64)


def reference(embeddings, threshold, budget):
    """`embeddings`: float64, best score first. Positions of the kept rows."""
    kept = [0]
    for row in range(1, len(embeddings)):
        if len(kept) >= budget:
            break
        candidate = torch.tensor(embeddings[row : row + 1], dtype=torch.float32)
        existing = torch.tensor(embeddings[kept], dtype=torch.float32)
        for _ in range(2):
            candidate = candidate / candidate.norm(dim=1)[:, None]
            existing = existing / existing.norm(dim=1)[:, None]
        if not torch.any(torch.mm(candidate, existing.t()) > threshold):
            kept.append(row)
    return kept


class FlatIndex:
    """Exact inner-product search in numpy, with the two calls of faiss.IndexFlatIP that the loop needs."""

    def __init__(self, dimension, capacity):
        self.rows, self.size = np.empty((capacity, dimension), dtype=np.float32), 0

    def add(self, rows):
        self.rows[self.size] = rows[0]
        self.size += 1

    def search(self, rows, _):
        return (self.rows[: self.size] @ rows[0]).max(keepdims=True)[None], None


def loop(unit, threshold, budget):
    """`unit`: float32 rows of length 1, best score first. Positions of the kept rows."""
    index = new_index(unit.shape[1], min(budget, len(unit)))
    index.add(unit[:1])
    kept = [0]
    for row in range(1, len(unit)):
        if len(kept) >= budget:
            break
        nearest, _ = index.search(unit[row : row + 1], 1)
        if nearest[0, 0] <= threshold:
            index.add(unit[row : row + 1])
            kept.append(row)
    return kept


def new_index(dimension, capacity):
    try:
        import faiss
    except ImportError:
        return FlatIndex(dimension, capacity)
    faiss.omp_set_num_threads(1)
    return faiss.IndexFlatIP(dimension)


def timed(function, *arguments, **options):
    start = time.process_time()
    result = function(*arguments, **options)
    return time.process_time() - start, result


def product_speed(size=1536):
    """Operations per second of one float32 matrix product."""
    square = np.full((size, size), 0.5, dtype=np.float32)
    return 2 * size**3 / timed(np.matmul, square, square)[0]


def measure(options):
    """Run everything in turns. Returns ({name: fastest seconds}, ledger, best product speed)."""
    vectors, scores = make_pool(
        options.rows, options.dimension, options.duplicates, options.dtype, options.seed
    )
    budget = options.budget or options.rows
    best_first = vectors[np.argsort(-scores)]
    wide = best_first.astype(np.float64)
    unit = (wide / np.linalg.norm(wide, axis=1)[:, None]).astype(np.float32)
    contenders = {"loop": lambda: loop(unit, options.threshold, budget)}
    if not options.skip_reference:
        contenders["reference"] = lambda: reference(wide, options.threshold, budget)
    seconds, speeds = {name: [] for name in ("ours", *contenders)}, []
    for _ in range(options.rounds):
        speeds.append(product_speed())
        spent, ledger = timed(repr_filter, vectors, scores, threshold=options.threshold, budget=budget)
        seconds["ours"].append(spent)
        for name, run in contenders.items():
            spent, kept = timed(run)
            seconds[name].append(spent)
            if not np.array_equal(ledger.rank[ledger.kept] - 1, kept):
                raise SystemExit(f"{name} keeps other rows: {len(kept)} of them, ours {len(ledger.kept)}")
    return {name: min(times) for name, times in seconds.items()}, ledger, max(speeds)


def report(options, fastest, ledger, speed):
    kept_before = np.cumsum(ledger.verdict[ledger.order[: ledger.visited]] == "kept") - 1
    operations = 2 * options.dimension * int(kept_before.clip(0).sum())
    floor = operations / speed
    print(
        f"N {options.rows:,}  d {options.dimension}  {options.dtype}  threshold {options.threshold}  "
        f"budget {options.budget or 'none'}: kept {len(ledger.kept):,}, visited {ledger.visited:,}; equal lists"
    )
    for name, spent in fastest.items():
        print(f"  {name:<10} {spent:9.3f} CPU s   {spent / fastest['ours']:7.1f} x ours")
    print(
        f"  floor      {floor:9.3f} CPU s   {operations / 1e9:.1f} GFLOP at {speed / 1e9:.0f} GFLOP/s; "
        f"ours runs at {floor / fastest['ours']:.0%} of it"
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--budget", type=int, default=2_000, help="0: no budget")
    parser.add_argument("--threshold", type=float, default=0.9)
    parser.add_argument("--duplicates", type=float, default=0.4, help="share of near-duplicates")
    parser.add_argument("--dtype", choices=["float16", "float32", "float64"], default="float32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--skip-reference", action="store_true", help="for pools that would take it hours")
    options = parser.parse_args()
    torch.set_num_threads(1)
    report(options, *measure(options))


if __name__ == "__main__":
    main()
