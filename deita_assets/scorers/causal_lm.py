"""A causal language model that is asked for one digit: token ids in, six logits out.

What belongs here: loading a model and its tokenizer from a folder, the ids of the digits, the forward pass.
What does not: prompts, truncation, scores and statuses.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_assets.errors import ScorerError

DIGITS = ("1", "2", "3", "4", "5", "6")
DTYPES = ("float32", "bfloat16", "float16")
_INSTALL = "Install them with `pip install torch transformers`."
#: A six-row head repeats a part of the same matrix product, so only rounding may differ from the full head:
#: fp32 1e-6 of the largest logit was seen, bfloat16 keeps 8 bits.
_HEAD_TOLERANCE = {"float32": 1e-4, "bfloat16": 3e-2, "float16": 1e-2}


class DigitModel:
    """Model and tokenizer of one folder, restricted to the logits of the digits "1" to "6".

    Where the output head is a plain linear layer it is replaced by its six rows: everything the
    architecture does after the head (soft caps, scaling) still happens, and no logit over the whole
    vocabulary is computed.

    Attributes:
        digit_ids: token ids of "1" to "6", int list of length 6.
        out_of_memory: exception types that a smaller batch may avoid.
        six_row_head: whether the head was cut to the six digits.
    """

    def __init__(self, folder: Path, *, prompt: str, device: str, dtype: str) -> None:
        """Loads the folder; `prompt` is a whole prompt, used to derive the digit ids and prove the head."""
        torch, transformers = _import_libraries()
        self._torch = torch
        self._device = device
        self.out_of_memory: tuple[type[BaseException], ...] = (torch.OutOfMemoryError,)
        self._tokenizer = _load_tokenizer(transformers, folder)
        self.digit_ids = find_digit_ids(self._tokenizer, prompt)
        self._model = _load_model(transformers, folder, device, getattr(torch, dtype))
        self._accepts = frozenset(inspect.signature(self._model.forward).parameters)
        self.six_row_head = False
        self._restrict_head(self.encode([prompt]), _HEAD_TOLERANCE[dtype])

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, framed by the tokenizer (BOS); special tokens in it stay plain text."""
        if not texts:
            return []
        encoded = self._tokenizer(list(texts), return_attention_mask=False, verbose=False)
        return [list(ids) for ids in encoded["input_ids"]]

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Half-open character range of each token of `text`; special tokens have an empty one."""
        encoded = self._tokenizer(text, return_offsets_mapping=True, verbose=False)
        return [(int(start), int(end)) for start, end in encoded["offset_mapping"]]

    def digit_logits(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Logits of the six digits after the last token of each row, shape (len(rows), 6).

        Rows are padded on the right under an attention mask with explicit positions, so a row's logits do not
        depend on its neighbours beyond rounding, whichever side the tokenizer would pad.
        """
        torch = self._torch
        last = torch.tensor([len(row) - 1 for row in rows], device=self._device)
        with torch.inference_mode():
            logits, at = self._forward(rows, last)
            picked = logits[torch.arange(len(rows), device=logits.device), at]
            if not self.six_row_head:
                picked = picked[:, self.digit_ids]
        values: NDArray[np.float64] = picked.to(torch.float64).cpu().numpy()
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


def find_digit_ids(tokenizer: Any, prompt: str) -> list[int]:
    """Token ids of "1" to "6" where `prompt` ends, the place at which the model answers.

    Raises:
        ScorerError: when a digit there is not exactly one more token, or two digits share one; lists the
            tokens found.
    """
    base = list(tokenizer(prompt, verbose=False)["input_ids"])
    tails = [list(tokenizer(prompt + digit, verbose=False)["input_ids"]) for digit in DIGITS]
    single = all(tail[:-1] == base for tail in tails)
    ids = [int(tail[-1]) for tail in tails]
    if single and len(set(ids)) == len(DIGITS):
        return ids
    found = {digit: _tail_tokens(tokenizer, base, tail) for digit, tail in zip(DIGITS, tails, strict=True)}
    raise ScorerError(
        f"tokenizer {type(tokenizer).__name__}: after the end of the prompt ({prompt[-16:]!r}) the digits "
        f"become {found}, expected one token each, all different, with the prompt's own tokens unchanged.",
        cure="Use a model whose tokenizer splits digits (LLaMA, Mistral, Qwen), or the heuristic scorer.",
    )


def _tail_tokens(tokenizer: Any, base: list[int], tail: list[int]) -> list[str]:
    same = next((i for i, (a, b) in enumerate(zip(base, tail, strict=False)) if a != b), len(base))
    return list(tokenizer.convert_ids_to_tokens(tail[same:]))


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


def _import_libraries() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise ScorerError(
            f"the deita scorer needs torch and transformers: {error}.", cure=_INSTALL
        ) from error
    return torch, transformers


def _load_tokenizer(transformers: Any, folder: Path) -> Any:
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(folder), trust_remote_code=False, local_files_only=True, split_special_tokens=True
        )
    except Exception as error:  # the tokenizers library raises plain Exception for a broken file
        raise ScorerError(
            f"{folder}: the tokenizer cannot be loaded ({error}).",
            cure="Put tokenizer.json and tokenizer_config.json beside the weights.",
        ) from error
    if not tokenizer.is_fast:
        raise ScorerError(
            f"{folder}: found the tokenizer {type(tokenizer).__name__}, which gives no character offsets, "
            "expected a fast one.",
            cure="Save it as tokenizer.json (`AutoTokenizer.from_pretrained(...).save_pretrained(...)`).",
        )
    return tokenizer


def _load_model(transformers: Any, folder: Path, device: str, dtype: Any) -> Any:
    options = {"use_safetensors": True, "trust_remote_code": False, "local_files_only": True}
    try:
        model, report = transformers.AutoModelForCausalLM.from_pretrained(
            str(folder), dtype=dtype, output_loading_info=True, **options
        )
    except MemoryError:
        raise
    except Exception as error:  # each file format raises its own type, some of them plain Exception
        raise ScorerError(
            f"{folder}: the model cannot be loaded as a causal language model ({error}).",
            cure="Check config.json and the weights; architectures that need code from the folder are not run.",
        ) from error
    if report["missing_keys"]:
        raise ScorerError(
            f"{folder}: the weights lack {sorted(report['missing_keys'])[:5]}, which would be filled at random.",
            cure="Save the whole causal language model, not its base or an adapter.",
        )
    return model.eval().to(device)
