"""A causal language model that is asked for one digit: token ids in, six logits out.

What belongs here: the six-row head and the forward pass. What does not: loading (`models.loading`), the ids
of the digits (`digit_ids`), prompts, truncation, scores and statuses.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_assets.errors import ScorerError
from deita_assets.models.loading import import_libraries, load_model, load_tokenizer
from deita_assets.models.memory import one_out_of_memory
from deita_assets.scorers.digit_ids import find_digit_ids

DTYPES = ("float32", "bfloat16", "float16")
#: A six-row head repeats a part of the same matrix product, so only rounding may differ from the full head:
#: fp32 1e-6 of the largest logit was seen, bfloat16 keeps 8 bits.
_HEAD_TOLERANCE = {"float32": 1e-4, "bfloat16": 3e-2, "float16": 1e-2}


class DigitModel:
    """Model and tokenizer, restricted to the logits of the digits "1" to "6".

    Where the output head is a plain linear layer it is replaced by its six rows: everything the
    architecture does after the head (soft caps, scaling) still happens, and no logit over the whole
    vocabulary is computed.

    Attributes:
        digit_ids: token ids of "1" to "6", int list of length 6.
        out_of_memory: exception types that a smaller batch may avoid.
        six_row_head: whether the head was cut to the six digits.
    """

    def __init__(self, model: Any, tokenizer: Any, *, prompt: str, special_tokens: bool = False) -> None:
        """Takes the model over: its head is replaced.

        Args:
            model: a causal language model of transformers, in evaluation mode, on its device.
            tokenizer: its fast tokenizer.
            prompt: a whole prompt, used to derive the digit ids and to prove the head.
            special_tokens: whether special tokens written in a text are parsed, or stay plain text.

        Raises:
            ScorerError: the tokenizer gives no digit ids, or ids that the model lacks.
        """
        import torch

        self._torch, self._tokenizer, self._model = torch, tokenizer, model
        self._device = model.device
        self._split_special_tokens = not special_tokens
        self.out_of_memory: tuple[type[BaseException], ...] = (torch.OutOfMemoryError,)
        self.digit_ids = find_digit_ids(tokenizer, prompt)
        probe = self.encode([prompt])
        _check_vocabulary(model, [*probe[0], *self.digit_ids])
        self._accepts = frozenset(inspect.signature(model.forward).parameters)
        self.six_row_head = False
        self._restrict_head(probe, _HEAD_TOLERANCE[str(model.dtype).removeprefix("torch.")])

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, framed by the tokenizer (BOS)."""
        if not texts:
            return []
        encoded = self._tokenizer(
            list(texts),
            return_attention_mask=False,
            verbose=False,
            split_special_tokens=self._split_special_tokens,
        )
        return [list(ids) for ids in encoded["input_ids"]]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Half-open character range of each token of `text`; special tokens have an empty one."""
        encoded = self._tokenizer(
            text,
            return_offsets_mapping=True,
            verbose=False,
            split_special_tokens=self._split_special_tokens,
        )
        return [(int(start), int(end)) for start, end in encoded["offset_mapping"]]

    def digit_logits(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Logits of the six digits after the last token of each row, shape (len(rows), 6).

        Rows are padded on the right under an attention mask with explicit positions, so a row's logits do not
        depend on its neighbours beyond rounding, whichever side the tokenizer would pad.

        Raises:
            torch.OutOfMemoryError: whatever torch raised for it; only CUDA has this type of its own.
        """
        torch = self._torch
        last = torch.tensor([len(row) - 1 for row in rows], device=self._device)
        with torch.inference_mode(), one_out_of_memory(torch):
            logits, at = self._forward(rows, last)
            picked = logits[torch.arange(len(rows), device=logits.device), at]
            if not self.six_row_head:
                picked = picked[:, self.digit_ids]
            picked = picked.cpu()
        values: NDArray[np.float64] = picked.to(torch.float64).numpy()  # not before: MPS has no float64
        return values

    def _forward(self, rows: Sequence[Sequence[int]], last: Any) -> tuple[Any, Any]:
        """Logits and, for each row, the index along their second axis that belongs to its last token."""
        torch = self._torch
        width = max(len(row) for row in rows)
        ids = torch.zeros((len(rows), width), dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = torch.tensor(row, dtype=torch.long)
            mask[place, : len(row)] = 1
        inputs = {
            "input_ids": ids.to(self._device),
            "attention_mask": mask.to(self._device),
            "use_cache": False,
        }
        if "position_ids" in self._accepts:
            inputs["position_ids"] = torch.arange(width, device=self._device).expand(len(rows), width)
        if not self.six_row_head and "logits_to_keep" in self._accepts:
            # The full head costs vocabulary x hidden per position: ask it for the last tokens only.
            inputs["logits_to_keep"], last = torch.unique(last, return_inverse=True)
        return self._model(**inputs).logits, last

    def _restrict_head(self, probe: list[list[int]], tolerance: float) -> None:
        """Puts a six-row head in place of a plain linear one; keeps it only if it gives the same logits."""
        torch, head = self._torch, self._model.get_output_embeddings()
        if type(head) is not torch.nn.Linear:
            return
        wanted = self.digit_logits(probe)
        self._model.set_output_embeddings(_rows_of(torch, head, self.digit_ids))
        self.six_row_head = True
        try:
            found = self.digit_logits(probe)
        except (IndexError, RuntimeError, ValueError):
            found = np.empty((0, 0))
        if found.shape != wanted.shape or not _close(found, wanted, tolerance):
            self._model.set_output_embeddings(head)
            self.six_row_head = False


def load_digit_model(
    folder: Path, *, prompt: str, device: str, dtype: str, special_tokens: bool = False
) -> DigitModel:
    """The model of a folder, on `device` and in `dtype`; the rest as for `DigitModel`.

    Raises:
        ScorerError: a library, the device, the tokenizer or the model cannot be used.
    """
    import_libraries("the deita scorer", error=ScorerError)
    tokenizer = load_tokenizer(folder, error=ScorerError)
    model = load_model(
        folder,
        "AutoModelForCausalLM",
        name="a causal language model",
        device=device,
        dtype=dtype,
        error=ScorerError,
    )
    return DigitModel(model, tokenizer, prompt=prompt, special_tokens=special_tokens)


def _check_vocabulary(model: Any, ids: Sequence[int]) -> None:
    known = len(model.get_input_embeddings().weight)
    if max(ids) >= known:
        raise ScorerError(
            f"the tokenizer gives token {max(ids)}, the model knows {known:,} tokens.",
            cure="Put the tokenizer that the model was trained with beside its weights.",
        )


def _rows_of(torch: Any, head: Any, rows: list[int]) -> Any:
    small = torch.nn.Linear(
        head.in_features,
        len(rows),
        bias=head.bias is not None,
        device=head.weight.device,
        dtype=head.weight.dtype,
    )
    with torch.no_grad():
        small.weight.copy_(head.weight[rows])
        if head.bias is not None:
            small.bias.copy_(head.bias[rows])
    return small.requires_grad_(False)


def _close(found: NDArray[np.float64], wanted: NDArray[np.float64], tolerance: float) -> bool:
    scale = max(1.0, float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0.0)))
    return bool(np.allclose(found, wanted, rtol=0.0, atol=tolerance * scale, equal_nan=True))
