"""The paper's embedder: the last token's hidden state in a causal language model that read the whole conversation.

What belongs here: options, the window, batches, the fingerprint. What does not: the template (`vicuna`), the model
(`last_state`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.conversation import Conversation
from deita_assets.core.fingerprint import Fingerprint
from deita_assets.core.model_folder import file_sha256, tokenizer_sha256, weights_sha256
from deita_assets.core.token_batches import run_by_length
from deita_assets.embedders.last_state import LastState
from deita_assets.embedders.unit_vectors import unit_vectors
from deita_assets.embedders.vicuna import TEMPLATE, render, template_sha256
from deita_assets.errors import EmbedderError, UsageError
from deita_assets.models.source import find_model, model_width, model_window

Truncation: TypeAlias = Literal["middle", "right"]
TRUNCATIONS: tuple[Truncation, ...] = ("middle", "right")
DTYPES = ("float32", "bfloat16")
#: Raise it whenever the same folder and options would give other vectors.
ALGORITHM_VERSION = 1
#: The paper's window.
MAX_LENGTH = 2048
#: Padded tokens in one batch. A single row already fills the matrix units of a CPU; padding only adds to its work.
BATCH_TOKENS = {"cpu": 1, "accelerator": 16_384}


class CausalLMEmbedder:
    """Unit vectors of conversations: the last hidden state, after the final norm, of the last token.

    A conversation is read whole in the Vicuna v1.1 template, `{system text} USER: {ask} ASSISTANT: {answer}</s>...`;
    `vicuna.render` says how system and tool messages and other orders of roles are written. `</s>` stands for the
    tokenizer's own end-of-sequence token; one that is written in a message stays plain text. So does the tokenizer's
    beginning-of-sequence token, where it has one, stand before everything.

    Of a conversation beyond `window` tokens `middle` keeps the first half of the window and the last half: the answer's
    end, where the state is read, is what the vector is made of. `right` cuts the end off, as the paper's code does.

    Attributes:
        fingerprint: model, weights, tokenizer, template, dtype, window and truncation of these vectors.
        dimension: length of a vector.
        default_threshold: see `DEFAULT_THRESHOLD`.
        window: most tokens of a conversation: `max_length`, or the model's own limit where that is smaller.
    """

    #: The paper's value, for LLaMA-1 13B. Other models have other scales: look at the pairs on both sides of the cut.
    DEFAULT_THRESHOLD = 0.9

    def __init__(
        self,
        model: str | Path,
        *,
        revision: str | None = None,
        device: str = "cpu",
        dtype: str = "float32",
        max_length: int | None = None,
        truncation: str = "middle",
        batch_tokens: int | None = None,
    ) -> None:
        """Finds the model's files; a hub id is downloaded, or taken from the local cache when offline.

        Args:
            model: folder with config.json, safetensors weights and tokenizer, or a hub id; with or without its head.
            revision: commit, tag or branch of a hub id.
            device: torch device, such as `cpu`, `cuda`, `cuda:1` or `mps`.
            dtype: `float32`, or `bfloat16` (the paper's), which are other vectors.
            max_length: most tokens of a conversation; None for the paper's 2,048.
            truncation: `middle` keeps both ends of a conversation that is too long, `right` its start.
            batch_tokens: padded tokens in one batch; by default one row on a CPU and 16,384 tokens elsewhere.

        Raises:
            UsageError: for an impossible option.
            EmbedderError: when the folder or the hub has no usable model.
        """
        _check_options(dtype, truncation, max_length, batch_tokens)
        self._source = find_model(model, revision, error=EmbedderError)
        limit = model_window(self._source.folder, error=EmbedderError)
        self.window = min(MAX_LENGTH if max_length is None else max_length, limit)
        self.dimension = model_width(self._source.folder, error=EmbedderError)
        self.default_threshold = self.DEFAULT_THRESHOLD
        self._device, self._dtype, self._truncation = device, dtype, truncation
        self._batch_tokens = (
            batch_tokens or BATCH_TOKENS["cpu" if device.startswith("cpu") else "accelerator"]
        )
        self._loaded: LastState | None = None
        self.fingerprint = self._identify()

    def load(self) -> LastState:
        """The model, loaded at the first call; call it early to meet a broken model early.

        Raises:
            EmbedderError: when the model or its tokenizer cannot be used.
        """
        if self._loaded is None:
            self._loaded = LastState(self._source.folder, device=self._device, dtype=self._dtype)
        return self._loaded

    def embed(self, conversations: Sequence[Conversation]) -> NDArray[np.float32]:
        """Unit vectors, float32 (len(conversations), dimension), in the order of the input.

        Raises:
            EmbedderError: when the model cannot be used, or gave a vector that is not finite; names the row's index.
            torch.OutOfMemoryError: when a single row does not fit; smaller batches were tried before.
        """
        states = np.empty((len(conversations), self.dimension), dtype=np.float32)
        if not conversations:
            return states
        model = self.load()
        rows = [self._cut(ids) for ids in model.encode([render(one) for one in conversations])]

        def compute(batch: list[int]) -> None:
            try:
                states[batch] = model.last_states([rows[place] for place in batch])
            except model.out_of_memory:
                # Kept for later calls: each would fail again first, and conversations come in many calls.
                self._batch_tokens = max(1, len(batch) * len(rows[batch[0]]) // 2)
                raise

        lengths = [len(row) for row in rows]
        run_by_length(lengths, compute, budget=self._batch_tokens, out_of_memory=model.out_of_memory)
        return unit_vectors(states.astype(np.float64))

    def count_tokens(self, conversations: Sequence[Conversation]) -> list[int]:
        """Tokens of each rendered conversation, before truncation."""
        return [len(ids) for ids in self.load().encode([render(one) for one in conversations])]

    def _cut(self, ids: list[int]) -> list[int]:
        if len(ids) <= self.window:
            return ids
        tail = self.window // 2 if self._truncation == "middle" else 0
        return ids[: self.window - tail] + ids[len(ids) - tail :]

    def _identify(self) -> Fingerprint:
        folder = self._source.folder
        spec = {
            "algorithm": ALGORITHM_VERSION,
            "config_sha256": file_sha256(folder / "config.json"),
            "dtype": self._dtype,
            "model": self._source.model,
            "pooling": "last token",
            "revision": self._source.revision,
            "template": TEMPLATE,
            "template_sha256": template_sha256(),
            "tokenizer_sha256": tokenizer_sha256(folder),
            "weights_sha256": weights_sha256(folder),
            "window_policy": {"tokens": self.window, "truncation": self._truncation},
        }
        return Fingerprint("embedder", "causal_lm", spec)


def _check_options(dtype: str, truncation: str, max_length: int | None, batch_tokens: int | None) -> None:
    for name, value, allowed in (("dtype", dtype, DTYPES), ("truncation", truncation, TRUNCATIONS)):
        if value not in allowed:
            raise UsageError(f"{name}: found {value!r}, expected one of {', '.join(allowed)}.")
    for name, number, least in (("max_length", max_length, 2), ("batch_tokens", batch_tokens, 1)):
        if number is not None and number < least:
            raise UsageError(f"{name}={number}: expected a whole number of at least {least}.")
