"""Where a model lies: a folder, or a hub id brought into one.

What belongs here: finding and checking the files. What does not: loading them.

Scorers and embedders raise errors of their own, so every function here takes the type that it is to raise.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deita_assets.core.model_folder import weight_files
from deita_assets.errors import DeitaError, UsageError

_DOWNLOADED = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model"]
_CONVERT = (
    "Load it once in a place you trust and save it again (`model.save_pretrained(folder)` writes "
    "safetensors), or name a revision that has them, such as `refs/pr/N` of a conversion pull request."
)
#: What config.json calls the length of a token state, by architecture.
_WIDTH_NAMES = ("hidden_size", "dim", "d_model", "n_embd")
AGAIN = "Download the model again; its files are incomplete or damaged."


@dataclass(frozen=True)
class ModelSource:
    """Where a model lies and what it is called: a hub id with its commit, or `local` for a folder.

    A folder's path and name are no part of its identity: moving it must not make stored results stale.
    """

    folder: Path
    model: str
    revision: str | None


def find_model(
    model: str | Path, revision: str | None = None, *, error: type[DeitaError] = DeitaError
) -> ModelSource:
    """The folder of `model`, downloaded first when it is a hub id that the local cache lacks.

    Raises:
        UsageError: a revision was given for a folder.
        error: no such model, or one without config.json or safetensors weights.
    """
    if "://" in str(model):
        raise error(
            "found an address in the place of a model, expected a folder or a hub id such as ORG/NAME.",
            cure="Download it yourself and name its folder; the address is kept out of this message.",
        )
    folder = Path(model)
    if folder.is_dir():
        if revision is not None:
            raise UsageError(
                f"{folder}: found revision {revision!r}, expected none for a folder.",
                cure="Leave the revision out; a folder is identified by its bytes.",
            )
        source = ModelSource(folder, "local", None)
    else:
        source = _download(str(model), revision, error)
    check_folder(source.folder, error=error)
    return source


def _download(model: str, revision: str | None, raised: type[DeitaError]) -> ModelSource:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise raised(
            f"{model}: no such folder, and downloading needs huggingface_hub ({error}).",
            cure="Install it with `pip install huggingface_hub`, or name a folder.",
        ) from error
    try:
        folder = Path(snapshot_download(model, revision=revision, allow_patterns=_DOWNLOADED))
    except (OSError, ValueError) as error:
        raise raised(
            f"{model}: no such folder, and the hub gave no model ({error}).",
            cure="Check the name and the network, or download the model first and name its folder.",
        ) from error
    return ModelSource(folder, model, folder.name)


def check_folder(folder: Path, *, error: type[DeitaError] = DeitaError) -> None:
    """Refuses a folder without config.json or safetensors weights, and an adapter.

    Raises:
        error: what is missing, and how to get it.
    """
    if not (folder / "config.json").is_file():
        raise error(
            f"{folder}: no config.json found, expected a transformers model.", cure="Name the model's folder."
        )
    try:
        found = weight_files(folder)
    except (FileNotFoundError, ValueError) as problem:
        raise error(f"{problem}.", cure=AGAIN) from problem
    if not found:
        others = sorted(path.name for path in folder.glob("*.bin"))
        pickles = f" (only pickled weights, which run code when loaded: {others})" if others else ""
        raise error(f"{folder}: no safetensors weights found{pickles}.", cure=_CONVERT)
    if (folder / "adapter_config.json").exists():
        # With peft installed, transformers would load the adapter's base model from elsewhere, unhashed.
        raise error(
            f"{folder}: found adapter_config.json, expected a whole model.",
            cure="Merge the adapter into its base and save the result; remove the file if the weights are merged.",
        )


def read_config(path: Path, *, error: type[DeitaError] = DeitaError) -> dict[str, Any]:
    """The JSON object in a file of a model's folder.

    Raises:
        error: the file holds no JSON object.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as problem:
        raise error(f"{path}: no JSON object ({problem}).", cure=AGAIN) from problem


def model_window(folder: Path, *, error: type[DeitaError] = DeitaError) -> int:
    """Positions that the model was built for, by its config.json; 2**31 where it names no limit.

    Raises:
        error: config.json is not a JSON object.
    """
    config = read_config(folder / "config.json", error=error)
    limits = [config.get(name) for name in ("max_position_embeddings", "n_positions")]
    return min((limit for limit in limits if isinstance(limit, int) and limit > 0), default=2**31)


def model_width(folder: Path, *, error: type[DeitaError] = DeitaError) -> int:
    """Length of a token state of the model, by its config.json.

    Raises:
        error: config.json is not a JSON object, or names no length.
    """
    config = read_config(folder / "config.json", error=error)
    for name in _WIDTH_NAMES:
        if isinstance(config.get(name), int):
            return int(config[name])
    raise error(
        f"{folder / 'config.json'}: none of {', '.join(_WIDTH_NAMES)} found, expected the length of a vector.",
        cure="Name the folder of a text model, such as all-MiniLM-L6-v2.",
    )
