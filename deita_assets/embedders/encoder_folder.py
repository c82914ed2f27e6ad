"""What the folder of a sentence encoder says about itself, in the files of sentence-transformers.

What belongs here: reading and refusing. What does not: loading the encoder.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from deita_assets.errors import EmbedderError
from deita_assets.models.source import AGAIN, check_folder, model_width, read_config

#: How token states become one vector: their mean, or the state of the first or the last token.
Pooling: TypeAlias = Literal["mean", "cls", "last"]

#: Read where the folder states no window of its own.
_DEFAULT_WINDOW = 512
_KNOWN_MODULES = frozenset({"Transformer", "Pooling", "Normalize"})
#: Architectures that number positions from the padding id + 1, and so hold fewer than they state (512 of 514).
_SHIFTED = frozenset({"camembert", "data2vec-text", "longformer", "mpnet", "roberta", "xlm-roberta"})
_POOLINGS: dict[str, Pooling] = {
    "mean": "mean",
    "pooling_mode_mean_tokens": "mean",
    "cls": "cls",
    "pooling_mode_cls_token": "cls",
    "lasttoken": "last",
    "pooling_mode_lasttoken": "last",
}


@dataclass(frozen=True)
class EncoderSettings:
    """What a folder says about itself.

    Attributes:
        window: most tokens the encoder reads at once, special tokens included.
        longest: the largest window that it could be given.
        dimension: length of a token state.
        lower_case: whether texts are put in lower case before the tokenizer.
        pooling: how token states become a vector; the mean where the folder says nothing.
        prompt: what stands before every text; the folder's default prompt, "" where it names none.
        pools_prompt: whether the prompt's own tokens are part of the mean.
    """

    window: int
    longest: int
    dimension: int
    lower_case: bool
    pooling: Pooling
    prompt: str
    pools_prompt: bool


def read_settings(folder: Path) -> EncoderSettings:
    """Reads the settings of a sentence encoder's folder.

    Raises:
        EmbedderError: for a folder without config.json or safetensors weights, or one with layers or a pooling that
            this package does not compute, because leaving them out would silently give other vectors.
    """
    check_folder(folder, error=EmbedderError)
    config = read_config(folder / "config.json", error=EmbedderError)
    if config.get("is_encoder_decoder"):
        raise EmbedderError(
            f"{folder / 'config.json'}: found an encoder with a decoder ({config.get('model_type')}), expected one "
            "stack of layers.",
            cure="Choose an encoder, such as all-MiniLM-L6-v2.",
        )
    sentence = _optional(folder / "sentence_bert_config.json")
    longest = min(
        _positions(config), _optional(folder / "tokenizer_config.json").get("model_max_length") or 2**31
    )
    pooling_config = _pooling_config(folder)
    pooling = _optional(pooling_config) if pooling_config else {}
    return EncoderSettings(
        window=sentence.get("max_seq_length") or min(int(longest), _DEFAULT_WINDOW),
        longest=int(longest),
        dimension=model_width(folder, error=EmbedderError),
        lower_case=bool(sentence.get("do_lower_case", False)),
        pooling=_pooling_mode(pooling_config or folder, pooling),
        prompt=_default_prompt(folder),
        pools_prompt=pooling.get("include_prompt", True) is not False,
    )


def _optional(path: Path) -> dict[str, Any]:
    return read_config(path, error=EmbedderError) if path.is_file() else {}


def _positions(config: dict[str, Any]) -> int:
    limit = config.get("max_position_embeddings")
    if not isinstance(limit, int) or limit < 1:
        return 2**31
    return limit - 1 - int(config.get("pad_token_id", 1)) if config.get("model_type") in _SHIFTED else limit


def _pooling_config(folder: Path) -> Path | None:
    """The settings of the folder's pooling; None where it names no modules, which means the mean."""
    found = None
    for module in _modules(folder / "modules.json"):
        kind = str(module.get("type", "")).rsplit(".", 1)[-1]
        if kind not in _KNOWN_MODULES:
            raise EmbedderError(
                f"{folder / 'modules.json'}: found the module {module.get('type')!r}, expected only "
                f"{', '.join(sorted(_KNOWN_MODULES))}.",
                cure="Choose a sentence encoder without extra layers, such as all-MiniLM-L6-v2.",
            )
        if kind == "Pooling":
            found = folder / str(module.get("path", "")) / "config.json"
    return found


def _modules(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        modules = json.loads(path.read_text(encoding="utf-8"))
        return [dict(module) for module in modules]
    except (ValueError, TypeError) as error:
        raise EmbedderError(f"{path}: no JSON list of modules ({error}).", cure=AGAIN) from error


def _pooling_mode(path: Path, config: dict[str, Any]) -> Pooling:
    modes = [name for name, on in config.items() if name.startswith("pooling_mode_") and on is True]
    stated = config.get("pooling_mode", modes or ["mean"])
    mode = stated[0] if isinstance(stated, list) and len(stated) == 1 else stated
    if not isinstance(mode, str) or mode not in _POOLINGS:
        raise EmbedderError(
            f"{path}: found the pooling {mode!r}, expected one of mean, cls and lasttoken.",
            cure="Choose a sentence encoder with one of these, such as all-MiniLM-L6-v2.",
        )
    return _POOLINGS[mode]


def _default_prompt(folder: Path) -> str:
    config = _optional(folder / "config_sentence_transformers.json")
    name, prompts = config.get("default_prompt_name"), config.get("prompts") or {}
    return str(prompts.get(name) or "") if name is not None else ""
