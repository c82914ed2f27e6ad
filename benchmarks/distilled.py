"""CPU time of the embedded default: complexity, quality and embedding of single turns, together and apart.

    python benchmarks/distilled.py                          # the bundled pool, a minute
    python benchmarks/distilled.py --pool FILE --rows 500   # any file that a source may hold

One thread, in turns, timed by `time.process_time`: on a shared machine wall times compare neighbours, not programs. Two
cores run two of these side by side (`workers`), so turns/s on two cores are about twice what is printed.

- together: complexity (a pass over the instruction), and quality with the embedding as its by-product (one pass).
- apart: complexity, quality, and then the embedder over the same texts again.
- embedder: the embedder alone, which every run pays anyway: the floor. Shares are of the speed of this machine's
  float32 matrix product, for the operations of the passes alone.

No time is printed unless the by-product equals the embedder's vectors within 1e-6 and the scores do not change.
"""

from __future__ import annotations

import argparse
import os
import time
from importlib.resources import as_file, files
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"  # read when the libraries below are loaded
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402

from deita_assets import ParseError, parse_conversation  # noqa: E402
from deita_assets.embedders.sentence import SentenceEmbedder  # noqa: E402
from deita_assets.readers import Record, read_records  # noqa: E402
from deita_assets.scorers.distilled.scorer import DistilledScorer  # noqa: E402
from deita_assets.scorers.distilled.turn_text import joint_text  # noqa: E402

LAYERS, DIMENSION, FRAME = 6, 384, 2


def single_turns(path, rows, seed):
    """A random sample of the conversations of one turn."""
    turns = []
    with as_file(files("deita_assets") / "demo") as demo:
        for file in [path] if path else sorted(demo.glob("*.json*")):
            for row in read_records(file):
                try:
                    found = parse_conversation(row.value if isinstance(row, Record) else None).turns()
                except ParseError:
                    continue
                if len(found) == 1 and found[0].response.strip():
                    turns.append((found[0].instruction, found[0].response))
    return [turns[at] for at in np.random.default_rng(seed).permutation(len(turns))[:rows]]


def timed(function, *arguments):
    start = time.process_time()
    result = function(*arguments)
    return time.process_time() - start, result


def product_speed(size=1536):
    """Operations per second of one float32 matrix product."""
    square = torch.full((size, size), 0.5)
    return 2 * size**3 / timed(torch.mm, square, square)[0]


def operations(lengths, window):
    """Of one pass over texts of these tokens: 24 d^2 a token and layer, 4 d a pair of tokens of a window and layer."""
    total = 0
    for length in lengths:
        room = window - FRAME
        windows = [min(room, length - start) + FRAME for start in range(0, max(1, length), room)]
        total += sum(LAYERS * (24 * DIMENSION**2 * n + 4 * DIMENSION * n * n) for n in windows)
    return total


def measure(turns, rounds):
    embedder = SentenceEmbedder()
    complexity, quality = (DistilledScorer(measure, embedder) for measure in ("complexity", "quality"))
    texts = [joint_text(*turn).text for turn in turns]

    def together():
        return complexity.score_turns(turns)[0], quality.score_and_embed(turns)

    def apart():
        return complexity.score_turns(turns)[0], quality.score_turns(turns)[0], embedder.embed_texts(texts)

    first, (scores, _, vectors) = together()
    again, plain, embedded = apart()
    gap = max(float(np.abs(vectors[at] - embedded[at]).max()) for at in vectors)
    if gap > 1e-6 or np.abs(first - again).max() > 1e-5 or np.abs(scores - plain).max() > 1e-5:
        raise SystemExit(f"results differ: vectors by {gap:.1e}; no time is worth printing")
    programs = {"together": together, "apart": apart, "embedder": lambda: embedder.embed_texts(texts)}
    seconds, speeds = {name: [] for name in programs}, []
    for _ in range(rounds):
        speeds.append(product_speed())
        for name, program in programs.items():
            seconds[name].append(timed(program)[0])
    lengths = embedder.count_text_tokens(texts)
    asked = embedder.count_text_tokens([instruction for instruction, _ in turns])
    work = {
        "together": operations(lengths, embedder.window) + operations(asked, embedder.window),
        "apart": 2 * operations(lengths, embedder.window) + operations(asked, embedder.window),
        "embedder": operations(lengths, embedder.window),
    }
    return {name: min(times) for name, times in seconds.items()}, work, max(speeds), lengths, asked


def report(turns, fastest, work, speed, lengths, asked):
    print(
        f"{len(turns):,} turns, {sum(lengths):,} tokens, of them {sum(asked):,} in instructions; 1 thread, "
        f"{speed / 1e9:.0f} GFLOP/s in a float32 matrix product; equal scores and vectors"
    )
    for name, spent in fastest.items():
        print(
            f"  {name:<9} {spent:7.2f} CPU s {len(turns) / spent:7.1f} turns/s  "
            f"{fastest['apart'] / spent:4.2f} x apart  {work[name] / spent / speed:4.0%} of the matrix product's speed"
        )
    extra = fastest["together"] / fastest["embedder"] - 1
    print(f"  scoring costs {extra:.0%} on top of the embedding that every run pays")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pool", type=Path, help="any file that a source may hold; by default the bundled ones"
    )
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    turns = single_turns(options.pool, options.rows, options.seed)
    report(turns, *measure(turns, options.rounds))


if __name__ == "__main__":
    main()
