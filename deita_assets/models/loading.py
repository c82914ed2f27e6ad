"""Loads tokenizers and weights from local files: safetensors only, no code from a model's folder.

What belongs here: the calls into transformers, and what goes wrong in them. What does not: finding the folder
(`source`), the forward pass.

Scorers and embedders raise errors of their own, so every function here takes the type that it is to raise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from deita_assets.errors import DeitaError
from deita_assets.models.source import AGAIN

_LOCAL: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}


def import_libraries(user: str, *, error: type[DeitaError]) -> tuple[Any, Any]:
    """The modules torch and transformers, for `user` (such as "the deita scorer").

    Raises:
        error: one of them is missing, with the command that installs them.
    """
    try:
        import torch
        import transformers
    except ImportError as problem:
        raise error(
            f"{user} needs torch and transformers: {problem}.",
            cure="Install them with `pip install torch transformers`.",
        ) from problem
    return torch, transformers


def load_tokenizer(folder: Path, *, error: type[DeitaError]) -> Any:
    """The tokenizer of `folder`, a fast one; special tokens written in a text stay plain text.

    Raises:
        error: it cannot be loaded, or gives no character offsets.
    """
    import transformers

    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(folder), split_special_tokens=True, **_LOCAL
        )
    except Exception as problem:  # the tokenizers library raises plain Exception for a broken file
        raise error(
            f"{folder}: the tokenizer cannot be loaded ({problem}).",
            cure="Put tokenizer.json and tokenizer_config.json beside the weights.",
        ) from problem
    if not tokenizer.is_fast:
        raise error(
            f"{folder}: found the tokenizer {type(tokenizer).__name__}, which gives no character offsets, "
            "expected a fast one.",
            cure="Save it as tokenizer.json (`AutoTokenizer.from_pretrained(...).save_pretrained(...)`).",
        )
    return tokenizer


def load_model(
    folder: Path,
    kind: Literal["AutoModel", "AutoModelForCausalLM"],
    *,
    name: str,
    device: str,
    dtype: str,
    error: type[DeitaError],
    unused: str = "",
) -> Any:
    """The model of `folder` in evaluation mode on `device`.

    Args:
        folder: with config.json and safetensors weights.
        kind: the class of transformers that loads it.
        name: what it should be, for messages, such as "a causal language model".
        device: torch device.
        dtype: name of a torch dtype.
        error: the type of error to raise.
        unused: weights whose names start so may be missing; "" means that none may.

    Raises:
        error: it cannot be loaded, the weights lack a part, or the device cannot be used.
    """
    import torch
    import transformers

    _check_device(torch, device, error)
    try:
        model, report = getattr(transformers, kind).from_pretrained(
            str(folder),
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # else the error says no more than that some do not match
            **_LOCAL,
        )
    except MemoryError:
        raise
    except Exception as problem:  # each file format raises its own type, some of them plain Exception
        raise error(
            f"{folder}: the model cannot be loaded as {name} ({problem}).",
            cure="Check config.json and the weights; architectures that need code from the folder are not run.",
        ) from problem
    if wrong := sorted(report["mismatched_keys"], key=str):
        key, found, expected = wrong[0]
        raise error(
            f"{folder}: {key} is of shape {list(found)}, config.json expects {list(expected)} ({len(wrong)} tensors "
            "are like this).",
            cure=AGAIN,
        )
    missing = sorted(key for key in report["missing_keys"] if not (unused and key.startswith(unused)))
    if missing:
        raise error(
            f"{folder}: the weights lack {missing[:5]}, which would be filled at random.",
            cure=f"Save {name} whole with `save_pretrained(folder)`, not a part of it or an adapter.",
        )
    return model.eval().to(device)


def _check_device(torch: Any, device: str, error: type[DeitaError]) -> None:
    """Before the weights are read: those of a large model take minutes."""
    try:
        torch.zeros(1, device=device).cpu()
    except torch.OutOfMemoryError:
        raise
    except (AssertionError, RuntimeError) as problem:  # torch asserts what it was built with
        usable = ["cpu", *(f"cuda:{n}" for n in range(torch.cuda.device_count()))]
        usable += ["mps"] if torch.backends.mps.is_available() else []
        raise error(
            f"device {device!r}: torch {torch.__version__} cannot use it ({str(problem).splitlines()[0]}).",
            cure=f"Set device to one that works here ({', '.join(usable)}), or install its driver and a torch "
            "built for it.",
        ) from problem
