"""A sentence encoder: token windows in, the sum of their token states out.

What belongs here: loading an encoder, the forward pass. What does not: what its folder says (`encoder_folder`),
conversations, pooling over windows, fingerprints.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.token_batches import run_by_length
from deita_assets.embedders.encoder_folder import Pooling
from deita_assets.errors import EmbedderError
from deita_assets.models.loading import import_libraries, load_model, load_tokenizer
from deita_assets.models.memory import one_out_of_memory

DTYPES = ("float32", "bfloat16")
#: A WordPiece vocabulary begins with special tokens and characters; its words follow, the common ones first.
_FIRST_WORD, _COMMON_WORDS, _LEAST_WEIGHT = 1_996, 1_000, 0.02


class Encoder:
    """Tokenizer and encoder of one folder."""

    def __init__(
        self,
        folder: Path,
        *,
        dimension: int,
        device: str,
        dtype: str,
        workers: int = 1,
        pooling: Pooling = "mean",
        backend: str = "torch",
    ) -> None:
        """Loads both from local files.

        With several workers each runs whole batches on one core, and torch is held to one thread in this whole
        process. Splitting every matrix product over the cores instead makes them wait for each other: measured
        on 2 busy cores, 1,019 tokens/s with two threads per product, 2,713 with one.

        Raises:
            EmbedderError: when a library is missing or the folder cannot be loaded.
        """
        torch, _ = import_libraries("the sentence embedder", error=EmbedderError)
        self._torch, self._device, self._dimension, self._pooling = torch, device, dimension, pooling
        self._out_of_memory: tuple[type[BaseException], ...] = (torch.OutOfMemoryError,)
        self._tokenizer = load_tokenizer(folder, error=EmbedderError)
        self._model = load_model(
            folder,
            "AutoModel",
            name="a sentence encoder",
            device=device,
            dtype="float32" if backend == "openvino" else dtype,
            error=EmbedderError,
            # A pooler reads the first token only and is not used here, so many encoders are saved without one.
            unused="pooler.",
        )
        self._workers = workers
        if workers > 1:
            torch.set_num_threads(1)
        self._head, self._tail = self._frame()
        self._words: NDArray[np.float32] | None = None
        if backend == "openvino":
            self._compile(dtype)

    def _compile(self, dtype: str) -> None:
        """Puts a compiled model in place of the torch one, once it gave the same vectors."""
        from deita_assets.embedders.openvino_encoder import PROBES, OpenVinoEncoder, check_vectors

        windows = [ids[: 256 - self.frame_tokens] for ids in self.encode(PROBES)]
        wanted = self.state_sums(windows, batch_tokens=2_048, tightness=0.0)
        self._model = OpenVinoEncoder(self._model, dtype=dtype, workers=self._workers)
        check_vectors(self.state_sums(windows, batch_tokens=2_048, tightness=0.0), wanted, dtype)

    @property
    def frame_tokens(self) -> int:
        """Special tokens around every window."""
        return len(self._head) + len(self._tail)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text without special tokens; those written in a text stay plain text."""
        return [list(ids) for ids in self._encoded(texts)["input_ids"]] if texts else []

    def encode_with_starts(self, texts: Sequence[str]) -> list[tuple[list[int], list[int]]]:
        """Token ids of each text as `encode` gives them, and the character at which each token starts."""
        if not texts:
            return []
        encoded = self._encoded(texts, return_offsets_mapping=True)
        starts = [[int(start) for start, _ in offsets] for offsets in encoded["offset_mapping"]]
        return list(zip((list(ids) for ids in encoded["input_ids"]), starts, strict=True))

    def _encoded(self, texts: Sequence[str], **options: bool) -> Any:
        return self._tokenizer(
            list(texts),
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
            **options,
        )

    def word_vectors(self, ids: Sequence[int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Centred unit input embeddings of tokens, float32 (len(ids), d), and their weights; see `SentenceEmbedder`."""
        if self._words is None:
            table = self._model.get_input_embeddings().weight.detach().float().cpu().numpy()
            table = table - table.mean(axis=0)
            self._words = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)
        rarity = (np.asarray(ids, np.float32) - _FIRST_WORD) / _COMMON_WORDS
        weights: NDArray[np.float32] = np.clip(rarity, _LEAST_WEIGHT, 1.0).astype(np.float32)
        return self._words[np.asarray(ids, np.intp)], weights

    def state_sums(
        self, windows: Sequence[Sequence[int]], *, batch_tokens: int, tightness: float
    ) -> NDArray[np.float32]:
        """Sum of the last hidden states over all tokens of each framed window, float32 (len(windows), d).

        Under `cls` and `last` pooling every token counts as the first or the last one does.
        """
        framed = [[*self._head, *window, *self._tail] for window in windows]
        sums = np.empty((len(framed), self._dimension), dtype=np.float32)

        def compute(batch: list[int]) -> None:
            with self._torch.inference_mode():
                sums[batch] = self._pool([framed[row] for row in batch]).cpu().numpy()

        self._run_all([len(row) for row in framed], compute, batch_tokens, tightness)
        return sums

    def segment_sums(
        self,
        windows: Sequence[Sequence[int]],
        segments: Sequence[Sequence[int]],
        *,
        batch_tokens: int,
        tightness: float,
    ) -> list[NDArray[np.float32]]:
        """Sums of the last hidden states by segment, so that one forward pass serves several readers.

        Args:
            windows: token ids without special tokens.
            segments: for every token of each window the number of its segment, from 0.
            batch_tokens: most padded tokens in one batch.
            tightness: see `run_by_length`.

        Returns:
            For each window float32 (1 + number of segments, d): row 0 the special tokens, row 1 + s segment s.
        """
        framed = [[*self._head, *window, *self._tail] for window in windows]
        places = [[0] * len(self._head) + [1 + s for s in row] + [0] * len(self._tail) for row in segments]
        counts = [1 + max(row, default=0) for row in places]
        sums: list[NDArray[np.float32]] = [np.empty((0, self._dimension), np.float32)] * len(framed)

        def compute(batch: list[int]) -> None:
            firsts = np.cumsum([0, *(counts[row] for row in batch)])
            summed = self._sum_segments(
                [framed[row] for row in batch], [places[row] for row in batch], firsts.tolist()
            )
            for at, row in enumerate(batch):
                sums[row] = summed[firsts[at] : firsts[at + 1]]

        self._run_all([len(row) for row in framed], compute, batch_tokens, tightness)
        return sums

    def _sum_segments(
        self, rows: list[list[int]], places: list[list[int]], firsts: list[int]
    ) -> NDArray[np.float32]:
        """Row `firsts[i] + places[i][j]` of the result is summed from token j of row i; padding goes to the last."""
        torch, width, spare = self._torch, len(rows[0]), firsts[-1]
        target = torch.tensor(
            [
                [first + place for place in row] + [spare] * (width - len(row))
                for first, row in zip(firsts, places, strict=False)
            ],
            device=self._device,
        )
        with torch.inference_mode():
            states, _ = self._states(rows)
            summed = torch.zeros((spare + 1, self._dimension), device=self._device)
            summed.index_add_(0, target.flatten(), states.reshape(-1, self._dimension))
            result: NDArray[np.float32] = summed[:spare].cpu().numpy()
        return result

    def _pool(self, rows: list[list[int]]) -> Any:
        """One vector per row, scaled by its number of tokens; float32 (len(rows), d)."""
        states, mask = self._states(rows)
        if self._pooling == "mean":
            return (states if mask is None else states * mask.unsqueeze(-1)).sum(dim=1)
        counts = self._torch.tensor([len(row) for row in rows], device=self._device)
        places = counts - 1 if self._pooling == "last" else counts * 0
        picked = states[self._torch.arange(len(rows), device=self._device), places]
        return picked * counts.unsqueeze(-1)

    def _run_all(
        self, lengths: list[int], compute: Callable[[list[int]], None], batch_tokens: int, tightness: float
    ) -> None:
        """Hands every row to `compute` once, in batches by length, on all workers."""

        def run(rows: list[int]) -> None:
            def attempt(batch: list[int]) -> None:
                with one_out_of_memory(self._torch):
                    compute([rows[place] for place in batch])

            run_by_length(
                [lengths[row] for row in rows],
                attempt,
                budget=batch_tokens,
                tightness=tightness,
                out_of_memory=self._out_of_memory,
            )

        # Dealt out in order of length, every worker gets the same mix.
        order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
        shares = [share for first in range(self._workers) if (share := order[first :: self._workers])]
        if len(shares) == 1:
            run(shares[0])
        elif shares:
            with ThreadPoolExecutor(len(shares)) as pool:
                list(pool.map(run, shares))

    def _states(self, rows: list[list[int]]) -> tuple[Any, Any]:
        """Last hidden states float32 (len(rows), longest, d) and the mask; None where no row is padded.

        Rows come longest first; equal lengths need no mask, and attention is faster without one.
        """
        torch, width = self._torch, len(rows[0])
        mask = None
        if len(rows[-1]) < width:
            mask = torch.tensor(
                [[1] * len(row) + [0] * (width - len(row)) for row in rows], device=self._device
            )
        ids = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=self._device)
        return self._model(input_ids=ids, attention_mask=mask).last_hidden_state.float(), mask

    def _frame(self) -> tuple[list[int], list[int]]:
        """Special tokens that the tokenizer puts before and after a text."""
        body = self.encode(["a"])[0]
        framed = list(self._tokenizer("a", verbose=False)["input_ids"])
        for start in range(len(framed) - len(body) + 1):
            if framed[start : start + len(body)] == body:
                return framed[:start], framed[start + len(body) :]
        raise EmbedderError(
            f"tokenizer {type(self._tokenizer).__name__}: found {framed} for a text whose own tokens are "
            f"{body}, expected those tokens between special ones.",
            cure="Choose a sentence encoder with a plain tokenizer, such as all-MiniLM-L6-v2.",
        )
