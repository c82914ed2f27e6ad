"""CPU seconds and memory of every selector, on the same pool.

    python benchmarks/selector_costs.py                                   # about half a minute
    python benchmarks/selector_costs.py --rows 5000 20000 --budget 1000
    python benchmarks/selector_costs.py --vectors vectors.npy             # (n, d) unit vectors of your own

Each selector runs in a process of its own, on one thread, timed by `time.process_time`; memory is how far the peak
rises above what the process held before the pass began. Vectors are float16, as they are stored; a pass is run with
a ledger's worth of results: neighbours and similarities included.

Floors: for facility location one float64 product over every pair of rows (n * n * d operations), which the first
gains need. For k-center `dense` stands beside it: every row with every kept row in one float64 product (2 * n *
budget * d). No greedy pass can use it, as each kept row depends on those before. The others are bound by their
order, not by arithmetic.

The pool is synthetic: 300 topics, a power-law spectrum, four rows in ten near-duplicates of others.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # read when numpy is loaded

import numpy as np  # noqa: E402

from deita_assets.core.block_kernel import NumpyKernel  # noqa: E402
from deita_assets.core.facility_location_pass import FacilityLocationPass  # noqa: E402
from deita_assets.core.k_center_pass import KCenterPass  # noqa: E402
from deita_assets.core.repr_filter import GreedyPass  # noqa: E402
from deita_assets.core.score_only_pass import ScoreOnlyPass  # noqa: E402
from deita_assets.core.score_order import score_order  # noqa: E402
from deita_assets.core.selectors import SELECTORS  # noqa: E402
from deita_assets.core.shuffled_order import shuffled_order  # noqa: E402


class Vectors:
    """Rows of an array."""

    def __init__(self, array):
        self.array, self.dimension = array, array.shape[1]

    def take(self, rows):
        return self.array[rows]


def make_pool(rows, dimension, seed):
    """Unit vectors, float16."""
    rng = np.random.default_rng(seed)
    spectrum = np.arange(1, dimension + 1) ** -0.3
    topics = rng.standard_normal((300, dimension)) * spectrum
    vectors = rng.standard_normal((rows, dimension)) * spectrum + topics[rng.integers(0, 300, rows)]
    copies = int(0.4 * rows)
    vectors[:copies] = vectors[rng.integers(copies, rows, copies)] + 0.2 * vectors[:copies]
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    return vectors[rng.permutation(rows)].astype(np.float16)


def new_pass(selector, vectors, scores, ids, threshold):
    """The pass of a selector, ordering included."""
    if selector == "random":
        return ScoreOnlyPass(shuffled_order(ids, seed=0))
    order = score_order(scores, ids)
    if selector == "score_only":
        return ScoreOnlyPass(order)
    if selector == "repr_filter":
        return GreedyPass(Vectors(vectors), order, threshold, NumpyKernel())
    return {"k_center": KCenterPass, "facility_location": FacilityLocationPass}[selector](
        Vectors(vectors), order
    )


def product_speed(size=1024):
    """Float64 operations per second of one matrix product, best of five."""
    square, spent = np.full((size, size), 0.5), []
    for _ in range(5):
        start = time.process_time()
        square @ square
        spent.append(time.process_time() - start)
    return 2 * size**3 / min(spent)


def floor_of(selector, rows, dimension, budget, speed):
    operations = {"facility_location": rows * rows * dimension, "k_center": 2 * rows * budget * dimension}
    return operations[selector] / speed if selector in operations else None


class PeakMemory:
    """How far memory rises above what is held now, MiB; needs Linux, elsewhere None."""

    def __init__(self):
        try:
            Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew from here
            self.before = self._peak()
        except OSError:
            self.before = None

    def risen(self):
        return None if self.before is None else self._peak() - self.before

    @staticmethod
    def _peak():
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def measure(selector, rows, options):
    """One selector in this process: {seconds, MiB, ...}."""
    vectors = np.load(options.vectors)[:rows] if options.vectors else make_pool(rows, options.dimension, 1)
    vectors = vectors.astype(np.float16)
    scores = np.random.default_rng(2).permutation(len(vectors)).astype(np.float64)
    ids = [f"{row:064x}:source" for row in range(len(vectors))]
    speed = product_speed()
    memory = PeakMemory()
    start = time.process_time()
    done = new_pass(selector, vectors, scores, ids, options.threshold)
    done.run(options.budget)
    seconds = time.process_time() - start
    return {
        "selector": selector,
        "rows": len(vectors),
        "kept": len(done.kept),
        "seconds": seconds,
        "mib": memory.risen(),
        "floor": floor_of(selector, len(vectors), vectors.shape[1], options.budget, speed),
    }


def report(found):
    floor = found["floor"]
    name = "dense" if found["selector"] == "k_center" else "floor"
    beside = "" if floor is None else f"   {name} {floor:8.3f} s ({found['seconds'] / floor:.2f} x)"
    memory = "" if found["mib"] is None else f"{found['mib']:7.0f} MiB"
    print(
        f"  {found['selector']:<18} N {found['rows']:>7,}  kept {found['kept']:>6,}  "
        f"{found['seconds']:9.3f} CPU s  {memory}{beside}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[5_000, 20_000])
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--budget", type=int, default=1_000)
    parser.add_argument("--threshold", type=float, default=0.9, help="of repr_filter")
    parser.add_argument("--vectors", help=".npy file with (n, d) vectors, instead of the synthetic pool")
    parser.add_argument("--selector", nargs="+", choices=list(SELECTORS), default=list(SELECTORS))
    parser.add_argument("--here", action="store_true", help="in this process, as JSON; for one selector")
    options = parser.parse_args()
    if options.here:
        print(json.dumps(measure(options.selector[0], options.rows[0], options)))
        return
    common = ["--dimension", options.dimension, "--budget", options.budget, "--threshold", options.threshold]
    common += ["--vectors", options.vectors] if options.vectors else []
    for rows in options.rows:
        for selector in options.selector:
            command = [sys.executable, __file__, "--here", "--rows", rows, "--selector", selector, *common]
            done = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
            report(json.loads(done.stdout))


if __name__ == "__main__":
    main()
