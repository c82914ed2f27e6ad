"""A causal language model whose last state is wanted: pieces of text in, tokens and states out.

What belongs here: its tokens, the forward pass, the proof that it is causal. What does not: templates, windows,
fingerprints.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_assets.errors import EmbedderError
from deita_assets.models.loading import import_libraries, load_model, load_tokenizer
from deita_assets.models.memory import one_out_of_memory

#: By how much of its length the state of a token may move when later tokens follow it: rounding alone, which is 1e-6 in
#: float32. A BERT with random weights moves by 2e-3, a trained one by much more.
_CAUSAL_TOLERANCE = {"float32": 1e-4, "bfloat16": 3e-2}
_PROBE = "one two three four five six"


class LastState:
    """Model and tokenizer of one folder: pieces of text in, the state of the last token out.

    Attributes:
        out_of_memory: exception types that a smaller batch may avoid.
    """

    def __init__(self, folder: Path, *, device: str, dtype: str) -> None:
        """Loads both from local files.

        Raises:
            EmbedderError: a library, the device, the tokenizer or the model cannot be used, or is not causal.
        """
        torch, _ = import_libraries("the causal_lm embedder", error=EmbedderError)
        self._torch, self._device = torch, device
        self.out_of_memory: tuple[type[BaseException], ...] = (torch.OutOfMemoryError,)
        self._tokenizer = load_tokenizer(folder, error=EmbedderError)
        self._end = self._end_token(folder)
        self._start = self._start_tokens()
        # The base model ends with the final norm; the head over the vocabulary is not loaded.
        self._model = load_model(
            folder,
            "AutoModel",
            name="a causal language model",
            device=device,
            dtype=dtype,
            error=EmbedderError,
        )
        self._accepts = frozenset(inspect.signature(self._model.forward).parameters)
        self._check_vocabulary(folder)
        self._check_causal(folder, dtype)

    def encode(self, rendered: Sequence[Sequence[str]]) -> list[list[int]]:
        """Token ids of rendered conversations: their pieces, with the end-of-sequence token between them."""
        pieces = [piece for row in rendered for piece in row if piece]
        found = iter(self._plain(pieces))
        rows: list[list[int]] = []
        for row in rendered:
            ids = list(self._start)
            for at, piece in enumerate(row):
                ids += [self._end] * (at > 0) + (next(found) if piece else [])
            rows.append(ids)
        return rows

    def last_states(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """State of each row's last token, float32 (len(rows), d).

        Rows are padded on the right under an attention mask with explicit positions, so that a state depends on no
        other row beyond rounding, whichever side the tokenizer would pad.
        """
        torch, width = self._torch, max(len(row) for row in rows)
        padded = [[*row, *[0] * (width - len(row))] for row in rows]
        inputs: dict[str, Any] = {
            "input_ids": torch.tensor(padded, device=self._device),
            "attention_mask": torch.tensor(
                [[1] * len(row) + [0] * (width - len(row)) for row in rows], device=self._device
            ),
        }
        if "position_ids" in self._accepts:
            inputs["position_ids"] = torch.arange(width, device=self._device).expand(len(rows), width)
        if "use_cache" in self._accepts:
            inputs["use_cache"] = False
        last = torch.tensor([len(row) - 1 for row in rows], device=self._device)
        with torch.inference_mode(), one_out_of_memory(torch):
            states = self._model(**inputs).last_hidden_state
            found: NDArray[np.float32] = (
                states[torch.arange(len(rows), device=self._device), last].float().cpu().numpy()
            )
        return found

    def _plain(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        encoded = self._tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False)
        return [list(ids) for ids in encoded["input_ids"]]

    def _end_token(self, folder: Path) -> int:
        end = self._tokenizer.eos_token_id
        if end is None:
            raise EmbedderError(
                f"{folder}: the tokenizer names no end-of-sequence token, which the template puts after every answer.",
                cure="Name eos_token in tokenizer_config.json.",
            )
        return int(end)

    def _start_tokens(self) -> list[int]:
        """Special tokens that the tokenizer puts before a text."""
        body, framed = self._plain(["a"])[0], list(self._tokenizer("a", verbose=False)["input_ids"])
        places = [at for at in range(len(framed)) if framed[at : at + len(body)] == body]
        return framed[: places[0]] if places else []

    def _check_vocabulary(self, folder: Path) -> None:
        known = len(self._model.get_input_embeddings().weight)
        largest = max([self._end, *self.encode([[_PROBE]])[0]])
        if largest >= known:
            raise EmbedderError(
                f"{folder}: the tokenizer gives token {largest}, the model knows {known:,} tokens.",
                cure="Put the tokenizer that the model was trained with beside its weights.",
            )

    def _check_causal(self, folder: Path, dtype: str) -> None:
        """Refuses a model in which a token sees later ones, where the last state would not sum up what it follows."""
        ids = self.encode([[_PROBE]])[0]
        early = ids[: len(ids) - 2]
        with self._torch.inference_mode():
            whole = self._model(input_ids=self._torch.tensor([ids], device=self._device)).last_hidden_state
        after = whole[0, len(early) - 1].float().cpu().numpy().astype(np.float64)  # MPS has no float64
        alone = self.last_states([early])[0].astype(np.float64)
        moved = float(np.linalg.norm(after - alone) / max(1e-30, float(np.linalg.norm(alone))))
        if moved > _CAUSAL_TOLERANCE[dtype]:
            raise EmbedderError(
                f"{folder}: the state of a token moves by {moved:.1e} of its length when others follow it, expected a "
                "causal language model.",
                cure='Use the embedder "sentence" for an encoder.',
            )
