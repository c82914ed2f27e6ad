"""A sentence encoder: token windows in, the sum of their token states out.

What belongs here: which folders are sentence encoders that this package can run, loading one, the forward
pass. What does not: conversations, pooling over windows, fingerprints.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.model_folder import weight_files
from deita_assets.core.token_batches import run_by_length
from deita_assets.errors import EmbedderError

DTYPES = ("float32", "bfloat16")
#: Read where the folder states no window of its own.
_DEFAULT_WINDOW = 512
#: What config.json calls the length of a token state, by architecture.
_WIDTH_NAMES = ("hidden_size", "dim", "d_model")
_AGAIN = "Download the model again; its files are incomplete or damaged."
_KNOWN_MODULES = frozenset({"Transformer", "Pooling", "Normalize"})


@dataclass(frozen=True)
class EncoderSettings:
    """What a folder says about itself.

    Attributes:
        window: most tokens the encoder reads at once, special tokens included.
        dimension: length of a token state.
        lower_case: whether texts are put in lower case before the tokenizer.
    """

    window: int
    dimension: int
    lower_case: bool


def read_settings(folder: Path) -> EncoderSettings:
    """Reads the settings of a sentence encoder's folder.

    Raises:
        EmbedderError: for a folder without config.json or safetensors weights, or one whose vectors are not
            the mean over token states, because any other pooling would silently give other vectors.
    """
    if not (folder / "config.json").is_file():
        raise EmbedderError(
            f"{folder}: no config.json found, expected a transformers model.", cure="Name the model's folder."
        )
    try:
        weights = weight_files(folder)
    except (FileNotFoundError, ValueError) as error:
        raise EmbedderError(f"{error}.", cure=_AGAIN) from error
    if not weights:
        raise EmbedderError(
            f"{folder}: no safetensors weights found.",
            cure="Save the model again with `save_pretrained(folder)`; pickled weights are not loaded.",
        )
    _check_modules(folder)
    config, sentence = _read_json(folder / "config.json"), _read_json(folder / "sentence_bert_config.json")
    limit = config.get("max_position_embeddings", _DEFAULT_WINDOW)
    window = sentence.get("max_seq_length") or min(limit, _DEFAULT_WINDOW)
    width = next((config[name] for name in _WIDTH_NAMES if isinstance(config.get(name), int)), None)
    if width is None:
        raise EmbedderError(
            f"{folder / 'config.json'}: none of {', '.join(_WIDTH_NAMES)} found, expected the length of a vector.",
            cure="Name the folder of an encoder, such as all-MiniLM-L6-v2.",
        )
    return EncoderSettings(window, width, bool(sentence.get("do_lower_case", False)))


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise EmbedderError(f"{path}: no JSON ({error}).", cure=_AGAIN) from error
    return value if isinstance(value, dict) else {"modules": value}


def _check_modules(folder: Path) -> None:
    for module in _read_json(folder / "modules.json").get("modules", []):
        kind = str(module.get("type", "")).rsplit(".", 1)[-1]
        if kind not in _KNOWN_MODULES:
            raise EmbedderError(
                f"{folder / 'modules.json'}: found the module {module.get('type')!r}, expected only "
                f"{', '.join(sorted(_KNOWN_MODULES))}.",
                cure="Choose a sentence encoder without extra layers, such as all-MiniLM-L6-v2.",
            )
        if kind == "Pooling":
            _check_pooling(folder / str(module.get("path", "")) / "config.json")


def _check_pooling(path: Path) -> None:
    config = _read_json(path)
    modes = [name for name, on in config.items() if name.startswith("pooling_mode_") and on is True]
    mode = config.get("pooling_mode") or (modes[0] if len(modes) == 1 else modes)
    if mode not in ("mean", "pooling_mode_mean_tokens", ["mean"]):
        raise EmbedderError(
            f"{path}: found the pooling {mode!r}, expected the mean over tokens.",
            cure="Choose a sentence encoder with mean pooling, such as all-MiniLM-L6-v2.",
        )


class Encoder:
    """Tokenizer and encoder of one folder."""

    def __init__(self, folder: Path, *, dimension: int, device: str, dtype: str, workers: int = 1) -> None:
        """Loads both from local files.

        With several workers each runs whole batches on one core, and torch is held to one thread in this whole
        process. Splitting every matrix product over the cores instead makes them wait for each other: measured
        on 2 busy cores, 1,019 tokens/s with two threads per product, 2,713 with one.

        Raises:
            EmbedderError: when a library is missing or the folder cannot be loaded.
        """
        torch, transformers = _import_libraries()
        self._torch, self._device, self._dimension = torch, device, dimension
        self._out_of_memory: tuple[type[BaseException], ...] = (torch.OutOfMemoryError,)
        self._tokenizer, model = _load(transformers, folder, getattr(torch, dtype))
        self._model = model.eval().to(device)
        self._workers = workers
        if workers > 1:
            torch.set_num_threads(1)
        self._head, self._tail = self._frame()

    @property
    def frame_tokens(self) -> int:
        """Special tokens around every window."""
        return len(self._head) + len(self._tail)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text without special tokens; those written in a text stay plain text."""
        if not texts:
            return []
        encoded = self._tokenizer(
            list(texts),
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )
        return [list(ids) for ids in encoded["input_ids"]]

    def state_sums(
        self, windows: Sequence[Sequence[int]], *, batch_tokens: int, tightness: float
    ) -> NDArray[np.float32]:
        """Sum of the last hidden states over all tokens of each framed window, float32 (len(windows), d)."""
        framed = [[*self._head, *window, *self._tail] for window in windows]
        sums = np.empty((len(framed), self._dimension), dtype=np.float32)

        def compute(batch: list[int]) -> None:
            sums[batch] = self._forward([framed[row] for row in batch])

        def run(rows: list[int]) -> None:
            run_by_length(
                [len(framed[row]) for row in rows],
                lambda batch: compute([rows[place] for place in batch]),
                budget=batch_tokens,
                tightness=tightness,
                out_of_memory=self._out_of_memory,
            )

        # Dealt out in order of length, every worker gets the same mix.
        order = sorted(range(len(framed)), key=lambda row: (-len(framed[row]), row))
        shares = [share for first in range(self._workers) if (share := order[first :: self._workers])]
        if len(shares) == 1:
            run(shares[0])
        elif shares:
            with ThreadPoolExecutor(len(shares)) as pool:
                list(pool.map(run, shares))
        return sums

    def _forward(self, rows: list[list[int]]) -> NDArray[np.float32]:
        """Rows come longest first; equal lengths need no mask, and attention is faster without one."""
        torch, width = self._torch, len(rows[0])
        mask = None
        if len(rows[-1]) < width:
            mask = torch.tensor(
                [[1] * len(row) + [0] * (width - len(row)) for row in rows], device=self._device
            )
        ids = torch.tensor([row + [0] * (width - len(row)) for row in rows], device=self._device)
        with torch.inference_mode():
            states = self._model(input_ids=ids, attention_mask=mask).last_hidden_state.float()
            if mask is not None:
                states = states * mask.unsqueeze(-1)
            summed: NDArray[np.float32] = states.sum(dim=1).cpu().numpy()
        return summed

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


def _import_libraries() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise EmbedderError(
            f"the sentence embedder needs torch and transformers: {error}.",
            cure="Install them with `pip install torch transformers`.",
        ) from error
    return torch, transformers


def _load(transformers: Any, folder: Path, dtype: Any) -> tuple[Any, Any]:
    options = {"trust_remote_code": False, "local_files_only": True}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(folder), split_special_tokens=True, **options
        )
        model, report = transformers.AutoModel.from_pretrained(
            str(folder),
            dtype=dtype,
            use_safetensors=True,
            attn_implementation="sdpa",
            output_loading_info=True,
            **options,
        )
    except MemoryError:
        raise
    except Exception as error:  # each file format raises its own type, some of them plain Exception
        raise EmbedderError(
            f"{folder}: the model cannot be loaded as a sentence encoder ({error}).",
            cure="Check its files; architectures that need code from the model's folder are not run.",
        ) from error
    # A pooler reads the first token only and is not used here, so many encoders are saved without one.
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise EmbedderError(
            f"{folder}: the weights lack {missing[:5]}, which would be filled at random.",
            cure="Save the whole encoder again with `save_pretrained(folder)`.",
        )
    return tokenizer, model
