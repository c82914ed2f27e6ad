"""Time of the DEITA scorers: ours against one prompt at a time through `generate`, on the same model and prompts.

    python benchmarks/scoring.py                                     # CPU, two to three minutes
    python benchmarks/scoring.py --pool FILE --prompts 400           # any file that a source may hold
    python benchmarks/scoring.py --device cuda --dtype bfloat16 --shape 13b --lengths 60 300 1500

The models are LLaMAs with random weights, made on the spot; times do not depend on the weights. Prompts are real.
The scores must be equal (float32: within 1e-5) before any time is printed.

- ours: what `DeitaScorer` does between prompt and score: token ids, batches, one forward pass, six rows of the head.
- official: what the published code does: token ids, `generate` with two new tokens and all scores, six columns.

On a CPU all run on one thread, prompt by prompt in turns, timed by `time.process_time`: on a shared machine wall
times compare neighbours, not programs. On a GPU, or with --lengths, times are those of the clock, each length is
measured alone, and the official path reads fewer prompts.

The floor is the operations that no exact score can do without (two for each weight of the layers and token, and
causal attention) at the speed of this machine's matrix product in the same dtype.
"""

from __future__ import annotations

import argparse
import copy
import os
import time
from importlib.resources import as_file, files

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when the libraries below are loaded

import numpy as np  # noqa: E402
import torch  # noqa: E402
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers  # noqa: E402
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast  # noqa: E402
from transformers.utils import logging  # noqa: E402

from deita_assets import expected_score, parse_conversation  # noqa: E402
from deita_assets.core.token_batches import run_by_length  # noqa: E402
from deita_assets.errors import ParseError  # noqa: E402
from deita_assets.readers import Record, read_records  # noqa: E402
from deita_assets.scorers.causal_lm import DigitModel  # noqa: E402
from deita_assets.scorers.deita import ACCELERATOR_BATCH_TOKENS, CPU_BATCH_TOKENS, MAX_LENGTH  # noqa: E402
from deita_assets.scorers.deita_prompt import build_prompt  # noqa: E402

VOCABULARY = 32_000
#: Layers, hidden size, intermediate size, heads.
SHAPES = {"tiny": (2, 64, 96, 4), "small": (8, 512, 1376, 8), "13b": (40, 5120, 13_824, 40)}
MEASURES = ("complexity", "quality")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
TOLERANCE = 1e-5


def read_prompts(path):
    """Every prompt of both measures, in order of the file's rows; the bundled pool without a path."""
    turns, unreadable = [], 0
    with as_file(files("deita_assets") / "demo") as demo:
        for file in [path] if path else sorted(demo.glob("*.json*")):
            for row in read_records(file):
                try:
                    turns += parse_conversation(row.value if isinstance(row, Record) else None).turns()
                except ParseError:
                    unreadable += 1
    return {m: [build_prompt(m, t.instruction, t.response).text for t in turns] for m in MEASURES}, unreadable


def make_tokenizer(texts):
    """Byte-level BPE learned from the prompts, digits apart, with BOS: about as many tokens as LLaMA's gives."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    options = {"special_tokens": ["<s>", "</s>"], "initial_alphabet": alphabet, "show_progress": False}
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=8_000, **options))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")  # noqa: S106


def make_model(shape, device, dtype):
    """A LLaMA with random weights, made on the device; its digit logits differ by a few units."""
    layers, hidden, intermediate, heads = SHAPES[shape]
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=hidden, intermediate_size=intermediate, num_hidden_layers=layers,
        num_attention_heads=heads, max_position_embeddings=4096, bos_token_id=0, eos_token_id=1, pad_token_id=1,
        tie_word_embeddings=False,
    )  # fmt: skip
    torch.manual_seed(1)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(3.0)
    return model


class Ours:
    """The production path; the layers are shared with the model given, the head is its own."""

    def __init__(self, model, tokenizer):
        model = copy.copy(model)
        model._modules = dict(model._modules)
        self.model = DigitModel(model, tokenizer, prompt=build_prompt("quality", "", "").text)
        self.budget = CPU_BATCH_TOKENS if model.device.type == "cpu" else ACCELERATOR_BATCH_TOKENS

    def scores(self, rows):
        found = np.empty(len(rows))

        def compute(batch):
            found[batch] = expected_score(self.model.digit_logits([rows[at] for at in batch]))

        lengths = [len(row) for row in rows]
        run_by_length(lengths, compute, budget=self.budget, out_of_memory=self.model.out_of_memory)
        return found


class Official:
    """The published path, in the dtype of the model given."""

    def __init__(self, model, digit_ids):
        self.model, self.digit_ids = model, digit_ids

    def scores(self, rows):
        return np.array([self._score(row) for row in rows])

    def _score(self, row):
        out = self.model.generate(
            torch.tensor([row], device=self.model.device),
            max_new_tokens=2,
            num_return_sequences=1,
            return_dict_in_generate=True,
            output_scores=True,
        )
        return float(expected_score(out.scores[0][0].detach().float().cpu().numpy()[self.digit_ids]))


def timed(clock, function, *arguments):
    start = clock()
    result = function(*arguments)
    return clock() - start, result


def operations(shape, lengths):
    """Operations of the layers for prompts of these lengths."""
    layers, hidden, intermediate, _ = SHAPES[shape]
    weights = layers * (4 * hidden**2 + 3 * hidden * intermediate)
    return sum(2 * weights * n + 2 * layers * hidden * n**2 for n in lengths)


def product_speed(device, dtype, clock, size):
    """Operations per second of one matrix product; the better of three."""
    square = torch.full((size, size), 0.5, device=device, dtype=dtype)
    return 2 * size**3 / min(timed(clock, torch.matmul, square, square)[0] for _ in range(3))


def rank_correlation(left, right):
    """Spearman's; ties in order of place."""
    return float(np.corrcoef(*(np.argsort(np.argsort(scores)) for scores in (left, right)))[0, 1])


def check_equal(found, wanted):
    worst = float(np.abs(found - wanted).max())
    if not worst <= TOLERANCE:
        raise SystemExit(f"float32 scores differ by up to {worst:.1e}: no time is worth reading")
    return worst


def difference(name, found, wanted):
    gap = np.abs(found - wanted)
    print(
        f"  {name}: scores differ by {gap.mean():.1e} on average, {gap.max():.1e} at most (their standard "
        f"deviation is {wanted.std():.2f}); rank correlation {rank_correlation(found, wanted):.5f}"
    )


def compare_on_cpu(options, prompts, tokenizer):
    """All paths on every prompt in turns."""
    model = make_model(options.shape, "cpu", torch.float32)
    ours = {
        "float32": Ours(model, tokenizer),
        "bfloat16": Ours(copy.deepcopy(model).to(torch.bfloat16), tokenizer),
    }
    official = Official(model, ours["float32"].model.digit_ids)
    encode = ours["float32"].model.encode
    contenders = {"official": official, **ours}
    seconds, scores = {name: [] for name in contenders}, {name: [] for name in contenders}
    speeds = {name: [] for name in ours}

    def score(path, prompt):
        return path.scores(encode([prompt]))[0]

    for path in contenders.values():
        score(path, prompts[0])
    for at, prompt in enumerate(prompts):
        for turn in range(len(contenders)):
            name = list(contenders)[(at + turn) % len(contenders)]
            spent, value = timed(time.process_time, score, contenders[name], prompt)
            seconds[name].append(spent)
            scores[name].append(value)
        if at % 10 == 0:
            for name in ours:
                speeds[name].append(product_speed("cpu", DTYPES[name], time.process_time, 1024))
    report_cpu(
        options,
        {name: np.array(values) for name, values in seconds.items()},
        {name: np.array(values) for name, values in scores.items()},
        operations(options.shape, [len(row) for row in encode(prompts)]),
        {name: max(found) for name, found in speeds.items()},
    )


def report_cpu(options, seconds, scores, needed, speeds):
    worst = check_equal(scores["float32"], scores["official"])
    print(
        f"{len(seconds['official'])} prompts, shape {options.shape}: float32 scores equal within {worst:.1e}"
    )
    difference("bfloat16", scores["bfloat16"], scores["official"])
    print(f"  official            {seconds['official'].sum():8.2f} CPU s")
    for name, speed in speeds.items():
        spent, floor = seconds[name].sum(), needed / speed
        ratios = seconds["official"] / seconds[name]
        print(
            f"  ours {name:<14} {spent:8.2f} CPU s   official takes {np.median(ratios):.2f} x (median of prompts; "
            f"half of them {np.quantile(ratios, 0.25):.2f}-{np.quantile(ratios, 0.75):.2f}), "
            f"{seconds['official'].sum() / spent:.2f} x in total"
        )
        print(
            f"  floor {name:<13} {floor:8.2f} CPU s   {needed / 1e9:.0f} GFLOP at {speed / 1e9:.0f} GFLOP/s; ours "
            f"runs at {floor / spent:.0%} of it"
        )


def compare_by_length(options, rows, tokenizer):
    """Prompts per second at fixed lengths and in the real mix: batches of ours against single official prompts."""
    device, dtype = torch.device(options.device), DTYPES[options.dtype]

    def clock():
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    model = make_model(options.shape, device, dtype)
    ours = Ours(model, tokenizer)
    paths = {f"official {options.dtype}": Official(model, ours.model.digit_ids)}
    if dtype != torch.float32 and not options.skip_float32:
        exact = copy.deepcopy(model).float()
        paths["official float32"] = Official(exact, ours.model.digit_ids)
    speed = product_speed(device, dtype, clock, 8192 if device.type == "cuda" else 1024)
    print(
        f"shape {options.shape}, {options.device}, {options.dtype}: matrix product {speed / 1e12:.2f} TFLOP/s"
    )
    rng = np.random.default_rng(1)
    sets = {f"{n} tokens": fixed_rows(rng, n, options.prompts) for n in options.lengths} | {"real mix": rows}
    for name, chosen in sets.items():
        ours.scores(chosen[:32])
        spent, scores = timed(clock, ours.scores, chosen)
        done = operations(options.shape, [len(row) for row in chosen]) / spent
        print(
            f"{name}: ours {len(chosen) / spent:.1f} prompts/s, {done / speed:.0%} of the matrix product's speed"
        )
        few = slice(None, None, max(1, len(chosen) // options.official_prompts))
        share = operations(options.shape, [len(row) for row in chosen[few]]) / (done * spent)
        for path_name, path in paths.items():
            path.scores(chosen[:1])
            longer, wanted = timed(clock, path.scores, chosen[few])
            if options.dtype == "float32":
                check_equal(scores[few], wanted)
            print(f"  {path_name} takes {longer / (share * spent):.2f} x on {len(wanted)} of them")
            difference(f"ours {options.dtype} against {path_name}", scores[few], wanted)


def fixed_rows(rng, length, count):
    return [[0, *rng.integers(2, 8_000, length - 1).tolist()] for _ in range(count)]


def report_repeats(prompts, encode):
    """What scoring each prompt once saves; apart, because the official path could do it too."""
    for measure, texts in prompts.items():
        tokens = dict(zip(texts, map(len, encode(texts)), strict=True))
        total = sum(tokens[text] for text in texts)
        print(
            f"{measure}: {len(texts)} prompts, {len(tokens)} different; scoring each once saves "
            f"{1 - sum(tokens.values()) / total:.1%} of {total:,} tokens"
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pool", help="a file of rows in any of the input formats; the bundled pool by default"
    )
    parser.add_argument("--prompts", type=int, default=150, help="prompts, spread evenly over the lengths")
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="float32", help="with --lengths or a GPU")
    parser.add_argument("--lengths", type=int, nargs="*", help="tokens; measures batches at fixed lengths")
    parser.add_argument("--official-prompts", type=int, default=16, help="of a length, for the official path")
    parser.add_argument("--skip-float32", action="store_true", help="where both copies do not fit in memory")
    options = parser.parse_args()
    logging.set_verbosity_error()
    prompts, unreadable = read_prompts(options.pool)
    different = sorted({text for texts in prompts.values() for text in texts})
    tokenizer = make_tokenizer(different)
    rows = sorted(zip(map(len, tokenizer(different)["input_ids"]), different, strict=True))
    fitting = [text for n, text in rows if n <= MAX_LENGTH]
    print(
        f"{len(different)} prompts, {len(rows) - len(fitting)} beyond {MAX_LENGTH} tokens, {unreadable} bad rows"
    )
    report_repeats(prompts, lambda texts: tokenizer(texts)["input_ids"])
    step = max(1.0, len(fitting) / options.prompts)
    chosen = [fitting[int((at + 0.5) * step)] for at in range(min(options.prompts, len(fitting)))]
    if options.device == "cpu" and options.lengths is None:
        torch.set_num_threads(1)
        compare_on_cpu(options, chosen, tokenizer)
    else:
        options.lengths = [60, 300, 1500] if options.lengths is None else options.lengths
        compare_by_length(options, tokenizer(chosen)["input_ids"], tokenizer)


if __name__ == "__main__":
    main()
