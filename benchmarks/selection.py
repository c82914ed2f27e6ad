"""CPU time of REPR FILTER: ours, the reference arithmetic, and a search-one-add-one loop, on the same pool.

    python benchmarks/selection.py                       # the default pool, under a minute
    python benchmarks/selection.py --case 6k --threads 2
    python benchmarks/selection.py --all                 # every case; --list names them
    python benchmarks/selection.py --rows 5000 --budget 0   # a pool of your own, to its end

Everything runs in turns, and the kept rows must be equal before any time is printed. On one thread times are CPU
times (`time.process_time`): on a shared machine wall times compare neighbours, not programs. With more threads wall
times are printed too.

- ours: `deita_assets.repr_filter`, ledger with exact neighbours and similarities included. torch is loaded already,
  as in any process that made the embeddings; where the processor multiplies bfloat16, ours makes use of it.
- float32: the same, held to numpy's float32 product.
- official: what the reference implementation computes for each candidate: all kept rows gathered from a float64
  array, cast to float32, both sides normalised twice, one 1 x k product. Its list building is not timed.
- loop: float32 rows on a flat index, searched one by one and added if kept; faiss if installed, else numpy.

The floor is 2 * d operations for each visited row and row kept before it, at the speed of this machine's float32
matrix product. Memory is what a process that makes one selection peaks at above the one that holds the vectors
(VmHWM, else ru_maxrss; in a process of its own, torch loaded). The pools are synthetic: a power-law spectrum with
near-duplicates, of similarity about 0.98 to their original, or families, of about 0.96 to each other.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def _threads_asked_for() -> str:
    if "--threads" in sys.argv[:-1]:
        return sys.argv[sys.argv.index("--threads") + 1]
    return next((word[10:] for word in sys.argv if word.startswith("--threads=")), "1")


for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = _threads_asked_for()  # read when the libraries below are loaded

import numpy as np  # noqa: E402
import torch  # noqa: E402

from deita_assets import repr_filter  # noqa: E402
from deita_assets.engines import cpu_kernel  # noqa: E402

#: Short name -> (what it shows, options).
CASES = {
    "2k": ("a small budget", {"budget": 2_000}),
    "6k": ("the paper's budget", {"budget": 6_000}),
    "half": ("the same, stored as float16", {"budget": 6_000, "dtype": "float16"}),
    "end": ("a pool to its end", {"rows": 5_000, "budget": 0}),
    "wide-1k": ("long vectors", {"rows": 5_000, "dimension": 4096, "budget": 1_000}),
    "wide": (
        "more of them",
        {"rows": 8_000, "dimension": 4096, "budget": 3_000, "skip": ["official"], "rounds": 2},
    ),
    "wide-half": (
        "the same, stored as float16",
        {
            "rows": 8_000,
            "dimension": 4096,
            "budget": 3_000,
            "dtype": "float16",
            "skip": ["official"],
            "rounds": 2,
        },
    ),
    "300k": ("a large pool, its best", {"rows": 300_000, "budget": 10_000, "skip": ["official"]}),
    "300k-half": (
        "the same, stored as float16",
        {"rows": 300_000, "budget": 10_000, "dtype": "float16", "skip": ["official"]},
    ),
    "300k-deep": (
        "a large pool of 11,650 families, most of it visited",
        {"rows": 300_000, "budget": 11_640, "families": 11_650, "skip": ["official", "loop"], "rounds": 1},
    ),
}


def make_pool(rows, dimension, duplicates, dtype, seed, families=0):
    """Unit vectors, a share of them near-duplicates of others or all of them in families, and distinct scores."""
    rng = np.random.default_rng(seed)
    spectrum = (np.arange(1, dimension + 1) ** -0.3).astype(np.float32)
    vectors = rng.standard_normal((rows, dimension), dtype=np.float32) * spectrum
    if families:
        weight = 1.0 / np.arange(1, families + 1)
        member_of = rng.choice(families, rows, p=weight / weight.sum())
        heads = rng.standard_normal((families, dimension), dtype=np.float32) * spectrum
        vectors *= 0.2
        vectors += heads[member_of]
    elif copies := int(rows * duplicates):
        originals = rng.integers(copies, rows, copies)
        vectors[:copies] = vectors[originals] + 0.2 * vectors[:copies]
    vectors /= np.linalg.norm(vectors, axis=1)[:, None]
    return vectors[rng.permutation(rows)].astype(dtype), rng.permutation(rows).astype(np.float64)


def official(embeddings, threshold, budget):
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
    faiss.omp_set_num_threads(int(_threads_asked_for()))
    return faiss.IndexFlatIP(dimension)


def timed(function, *arguments, **options):
    """((CPU seconds, wall seconds), result)."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = function(*arguments, **options)
    return (time.process_time() - cpu, time.perf_counter() - wall), result


def product_speed(size=1536):
    """Operations per CPU second of one float32 matrix product."""
    square = np.full((size, size), 0.5, dtype=np.float32)
    return 2 * size**3 / timed(np.matmul, square, square)[0][0]


def ours(vectors, scores, options):
    return repr_filter(vectors, scores, threshold=options.threshold, budget=options.budget or None)


def float32_only(vectors, scores, options):
    """Ours without bfloat16."""
    may_use = cpu_kernel.multiplies_bfloat16
    cpu_kernel.multiplies_bfloat16 = lambda: False
    try:
        return ours(vectors, scores, options)
    finally:
        cpu_kernel.multiplies_bfloat16 = may_use


def measure(options):
    """Run everything in turns.

    Returns ({name: fastest (CPU, wall) seconds}, ledger, best product speed, peak memory).
    """
    vectors, scores = make_pool(
        options.rows, options.dimension, options.duplicates, options.dtype, options.seed, options.families
    )
    budget = options.budget or options.rows
    contenders = {}
    if cpu_kernel.multiplies_bfloat16():
        contenders["float32"] = lambda: best_first(float32_only(vectors, scores, options))
    if "loop" not in options.skip:
        unit = vectors[np.argsort(-scores)].astype(np.float64)
        unit = (unit / np.linalg.norm(unit, axis=1)[:, None]).astype(np.float32)
        contenders["loop"] = lambda: loop(unit, options.threshold, budget)
    if "official" not in options.skip:
        wide = vectors[np.argsort(-scores)].astype(np.float64)
        contenders["official"] = lambda: official(wide, options.threshold, budget)
    seconds, speeds = {name: [] for name in ("ours", *contenders)}, []
    for number in range(options.rounds):
        speeds.append(product_speed())
        spent, ledger = timed(ours, vectors, scores, options)
        seconds["ours"].append(spent)
        for name, run in contenders.items():
            if name == "official" and number:
                continue  # it takes minutes; once is enough
            spent, kept = timed(run)
            seconds[name].append(spent)
            if not np.array_equal(best_first(ledger), kept):
                raise SystemExit(f"{name} keeps other rows: {len(kept)} of them, ours {len(ledger.kept)}")
    peak = peak_memory(options, vectors, scores)
    return {name: min(times) for name, times in seconds.items()}, ledger, max(speeds), peak


def best_first(ledger):
    """Kept rows as positions in score order."""
    return ledger.rank[ledger.kept] - 1


def peak_memory(options, vectors, scores):
    """MiB that a selection peaks at above what the process held before, from a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "vectors.npy"), vectors)
        np.save(Path(folder, "scores.npy"), scores)
        words = [
            f"--threads={options.threads}",
            f"--threshold={options.threshold}",
            f"--budget={options.budget}",
        ]
        command = [sys.executable, __file__, "--peak-of", folder, *words]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_peak(options):
    vectors, scores = (np.load(Path(options.peak_of, f"{name}.npy")) for name in ("vectors", "scores"))
    repr_filter(vectors[:100], scores[:100], threshold=options.threshold)  # loads what it loads
    before = peak_kib()
    ours(vectors, scores, options)
    print((peak_kib() - before) / 1024)


def peak_kib():
    """VmHWM where there is one: on Linux ru_maxrss begins with what the parent process had."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def report(options, fastest, ledger, speed, peak):
    is_kept = ledger.verdict[ledger.order[: ledger.visited]] == "kept"
    pairs = int((np.cumsum(is_kept) - is_kept).sum())
    floor = 2 * options.dimension * pairs / speed
    cpu, wall = fastest["ours"]
    print(
        f"N {options.rows:,}  d {options.dimension}  {options.dtype}  threshold {options.threshold}  "
        f"budget {options.budget or 'none'}: kept {len(ledger.kept):,}, visited {ledger.visited:,}, "
        f"pairs {pairs / 1e6:.1f} M; equal lists; {options.threads} thread(s)"
    )
    for name, (its_cpu, its_wall) in fastest.items():
        shown = f"  {name_of(name):<14} {its_cpu:9.3f} CPU s   {its_cpu / cpu:7.1f} x ours"
        print(
            shown
            + (f"   {its_wall:9.3f} wall s {its_wall / wall:7.1f} x ours" if options.threads > 1 else "")
        )
    print(
        f"  {'floor':<14} {floor:9.3f} CPU s   {2 * options.dimension * pairs / 1e9:.1f} GFLOP at "
        f"{speed / 1e9:.0f} GFLOP/s: {floor / cpu:.0%} of ours"
    )
    print(f"  {'peak memory':<14} {peak:9.0f} MiB above the vectors")


def name_of(name):
    if name != "loop":
        return name
    return "numpy loop" if isinstance(new_index(1, 1), FlatIndex) else "faiss loop"


def parsed(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=CASES, help="options of a named case; --list shows them")
    parser.add_argument("--all", action="store_true", help="every named case")
    parser.add_argument("--list", action="store_true", help="name the cases")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--budget", type=int, default=2_000, help="0: no budget")
    parser.add_argument("--threshold", type=float, default=0.9)
    parser.add_argument("--duplicates", type=float, default=0.4, help="share of near-duplicates")
    parser.add_argument(
        "--families", type=int, default=0, help="instead: rows in so many families of skewed size"
    )
    parser.add_argument("--dtype", choices=["float16", "float32", "float64"], default="float32")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--skip", nargs="*", default=[], choices=["official", "loop"], help="what takes too long"
    )
    parser.add_argument("--peak-of", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main():
    options = parsed()
    torch.set_num_threads(options.threads)
    if options.list:
        for name, (shows, _) in CASES.items():
            print(f"{name:<10} {shows}")
    elif options.peak_of:
        print_peak(options)
    else:
        for name in CASES if options.all else [options.case]:
            its = options
            if name is not None:
                print(f"[{name}] {CASES[name][0]}")
                its = parsed([f"--threads={options.threads}"])
                vars(its).update(CASES[name][1])
                its.skip = [*its.skip, *options.skip]
            report(its, *measure(its))


if __name__ == "__main__":
    main()
