"""The DEITA scorers: the expectation over the digits that a trained language model would answer.

What belongs here: turns in, scores and statuses out, for any causal language model trained on the DEITA
prompts. What does not: the forward pass (`causal_lm`), the prompts (`deita_prompt`), truncation
(`truncation`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.evol_score import expected_score
from deita_assets.core.fingerprint import Fingerprint
from deita_assets.core.model_folder import file_sha256, tokenizer_sha256, weights_sha256
from deita_assets.core.token_batches import run_by_length
from deita_assets.errors import ScorerError, UsageError
from deita_assets.models.source import find_model, model_window
from deita_assets.scorers.base import MEASURES, Measure, Status, TurnText
from deita_assets.scorers.causal_lm import DTYPES, DigitModel, load_digit_model
from deita_assets.scorers.deita_prompt import build_prompt, template_sha256
from deita_assets.scorers.truncation import TRUNCATIONS, Truncation, kept_positions

#: The scorers of the paper (LLaMA-1 13B, six evolution levels), by measure.
PRESETS: Mapping[Measure, str] = MappingProxyType(
    {"complexity": "hkust-nlp/deita-complexity-scorer", "quality": "hkust-nlp/deita-quality-scorer"}
)
Compat: TypeAlias = Literal["official"]
"""`official`: as the published code of DEITA scores, for comparison with scores that it made."""
#: What the published code writes where it finds no six numbers.
FALLBACK_SCORE = 3.0
#: Raise it whenever the same folder and options would give other scores.
ALGORITHM_VERSION = 1
#: Padded tokens in one batch on an accelerator. On a CPU a single prompt of 250 tokens already fills the
#: matrix units (measured: padded batches ran at 0.67-0.81 of the speed of single rows), so batches there
#: hold one row.
ACCELERATOR_BATCH_TOKENS = 16_384
CPU_BATCH_TOKENS = 1
#: Tokens that the published scorers were trained on, and the policy for longer prompts.
MAX_LENGTH = 2048
TRUNCATION: Truncation = "middle"
#: Stands for no window at all.
NO_WINDOW = 2**31
#: Row-text tokens that must fit beside the template, else a score would say nothing about the row.
_MIN_CONTENT_TOKENS = 16


class DeitaScorer:
    """Scores turns with a causal language model trained on the DEITA prompts.

    `score = sum over k=1..6 of k * softmax(six digit logits)_k` at the last prompt position, the paper's
    expectation over the digits, from one plain forward pass. The model is loaded at the first turn; the
    fingerprint needs the files only.

    With `compat="official"` it treats turns as the published code does, under a fingerprint of its own: special
    tokens written in a text are parsed, nothing is cut whatever its length, a blank response is scored, and where
    the six logits give no number the score is 3.0 with the status `fallback`. How a conversation becomes turns is
    decided before: `official.score_official` pairs them in the published way.

    Attributes:
        measure: `complexity` or `quality`.
        compat: `official` or None.
        fingerprint: model, weights, tokenizer, prompt, dtype, truncation and window of these scores.
        window: most tokens of a prompt: `max_length`, or the model's own limit where that is smaller; 2**31
            with `compat="official"`.
    """

    def __init__(
        self,
        model: str | Path,
        kind: Measure = "complexity",
        *,
        revision: str | None = None,
        device: str = "cpu",
        dtype: str = "float32",
        max_length: int = MAX_LENGTH,
        truncation: Truncation = TRUNCATION,
        batch_tokens: int | None = None,
        compat: Compat | None = None,
    ) -> None:
        """Finds the model's files; a hub id is downloaded, or taken from the local cache when offline.

        Args:
            model: folder with config.json, safetensors weights and tokenizer, or a hub id.
            kind: which prompt the model was trained on.
            revision: commit, tag or branch of a hub id.
            device: torch device, such as `cpu`, `cuda`, `cuda:1` or `mps`; checked when the model is loaded.
            dtype: `float32`, `bfloat16` or `float16`; other dtypes are other scores (bfloat16 moves them by
                about 1e-2), and float16 is four times slower than float32 on a CPU.
            max_length: most tokens of a prompt.
            truncation: `middle` keeps head and tail of a text that is too long, `none` gives it no score.
            batch_tokens: padded tokens in one batch; by default one row on a CPU and 16,384 tokens elsewhere.
            compat: `official` to score as the published code does; `max_length` and `truncation` do not apply.

        Raises:
            UsageError: for an impossible option.
            ScorerError: when the folder or the hub has no usable model.
        """
        _check_options(kind, dtype, truncation, max_length, batch_tokens, compat)
        self.measure: Measure = kind
        self.compat = compat
        self._source = find_model(model, revision, error=ScorerError)
        own_limit = model_window(self._source.folder, error=ScorerError)
        self.window = NO_WINDOW if compat else min(max_length, own_limit)
        self._device, self._dtype, self._truncation = device, dtype, truncation
        default = CPU_BATCH_TOKENS if device.startswith("cpu") else ACCELERATOR_BATCH_TOKENS
        self._batch_tokens = default if batch_tokens is None else batch_tokens
        self._loaded: DigitModel | None = None
        self.fingerprint = self._identify()

    def load(self) -> DigitModel:
        """The model, loaded at the first call; call it early to meet a broken model early.

        Raises:
            ScorerError: when the model, its tokenizer or the device cannot be used.
        """
        if self._loaded is None:
            prompt = build_prompt(self.measure, "", "").text
            model = load_digit_model(
                self._source.folder,
                prompt=prompt,
                device=self._device,
                dtype=self._dtype,
                special_tokens=self.compat is not None,
            )
            needed = len(model.encode([prompt])[0]) + _MIN_CONTENT_TOKENS
            if needed > self.window:
                raise ScorerError(
                    f"window of {self.window} tokens: the {self.measure} prompt alone needs {needed}.",
                    cure="Raise max_length, or use a model with a longer context.",
                )
            self._loaded = model
        return self._loaded

    def score_turns(self, turns: Sequence[TurnText]) -> tuple[NDArray[np.float64], list[Status]]:
        """Scores in [1, 6], shape (len(turns),), NaN exactly where the status is not in `base.SCORED`.

        Raises:
            ScorerError: when the model cannot be loaded.
            torch.OutOfMemoryError: when a single row does not fit; a smaller batch was tried before.
        """
        scores = np.full(len(turns), np.nan, dtype=np.float64)
        statuses: list[Status] = ["empty_response"] * len(turns)
        reads_blank = self.measure == "complexity" or self.compat is not None
        wanted = [i for i, (_, response) in enumerate(turns) if reads_blank or response.strip()]
        if not wanted:
            return scores, statuses
        token_rows: dict[int, list[int]] = {}
        for i, (status, ids) in zip(wanted, self._encode([turns[i] for i in wanted]), strict=True):
            statuses[i] = status
            if status != "too_long":
                token_rows[i] = ids
        for i, score in self._run(token_rows).items():
            if np.isfinite(score):
                scores[i] = score
            elif self.compat:
                scores[i], statuses[i] = FALLBACK_SCORE, "fallback"
            else:
                statuses[i] = "non_finite"
        return scores, statuses

    def count_tokens(self, turns: Sequence[TurnText]) -> list[int]:
        """Tokens of each turn's whole prompt, before truncation."""
        prompts = [build_prompt(self.measure, instruction, response).text for instruction, response in turns]
        return [len(ids) for ids in self.load().encode(prompts)]

    def _encode(self, turns: Sequence[TurnText]) -> list[tuple[Status, list[int]]]:
        model = self.load()
        prompts = [build_prompt(self.measure, instruction, response) for instruction, response in turns]
        result: list[tuple[Status, list[int]]] = []
        for prompt, ids in zip(prompts, model.encode([prompt.text for prompt in prompts]), strict=True):
            if len(ids) <= self.window:
                result.append(("ok", ids))
            elif self._truncation == "none":
                result.append(("too_long", ids))
            else:
                kept = kept_positions(model.offsets(prompt.text), prompt.spans, self.window)
                result.append(("truncated", [ids[position] for position in kept]))
        return result

    def _run(self, token_rows: Mapping[int, list[int]]) -> dict[int, float]:
        """Score by turn number."""
        model, numbers, rows = self.load(), list(token_rows), list(token_rows.values())
        scores: dict[int, float] = {}

        def compute(batch: list[int]) -> None:
            try:
                values = expected_score(model.digit_logits([rows[place] for place in batch]))
            except model.out_of_memory:
                # Kept for later calls: each would fail again first, and turns come in many calls.
                self._batch_tokens = max(1, len(batch) * len(rows[batch[0]]) // 2)
                raise
            scores.update((numbers[place], float(value)) for place, value in zip(batch, values, strict=True))

        lengths = [len(row) for row in rows]
        run_by_length(lengths, compute, budget=self._batch_tokens, out_of_memory=model.out_of_memory)
        return scores

    def _identify(self) -> Fingerprint:
        folder = self._source.folder
        spec: dict[str, Any] = {
            "algorithm": ALGORITHM_VERSION,
            "config_sha256": file_sha256(folder / "config.json"),
            "dtype": self._dtype,
            "max_length": self.window,
            "measure": self.measure,
            "model": self._source.model,
            "revision": self._source.revision,
            "template_sha256": template_sha256(self.measure),
            "tokenizer_sha256": tokenizer_sha256(folder),
            "truncation": self._truncation,
            "weights_sha256": weights_sha256(folder),
        }
        if self.compat:
            spec |= {"compat": self.compat, "max_length": None, "truncation": None}
        return Fingerprint("scorer", "deita", spec)


def _check_options(
    kind: str,
    dtype: str,
    truncation: str,
    max_length: int,
    batch_tokens: int | None,
    compat: str | None,
) -> None:
    for name, value, allowed in (
        ("kind", kind, MEASURES),
        ("dtype", dtype, DTYPES),
        ("truncation", truncation, TRUNCATIONS),
        ("compat", compat, (None, "official")),
    ):
        if value not in allowed:
            raise UsageError(f"{name}: found {value!r}, expected one of {', '.join(map(str, allowed))}.")
    if max_length < 1 or (batch_tokens is not None and batch_tokens < 1):
        raise UsageError(
            f"max_length={max_length}, batch_tokens={batch_tokens}: expected whole numbers of at least 1."
        )
    if compat and (max_length, truncation) != (MAX_LENGTH, TRUNCATION):
        raise UsageError(
            f"compat={compat!r} with max_length={max_length}, truncation={truncation!r}: the published code cuts "
            "nothing.",
            cure="Leave max_length and truncation out.",
        )
