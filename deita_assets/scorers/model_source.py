"""Where a scorer's model lies: a folder, or a hub id brought into one.

What belongs here: finding and checking the files. What does not: loading them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from deita_assets.core.model_folder import weight_files
from deita_assets.errors import ScorerError, UsageError

_DOWNLOADED = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model"]
_CONVERT = (
    "Load it once in a place you trust and save it again (`model.save_pretrained(folder)` writes "
    "safetensors), or name a revision that has them, such as `refs/pr/N` of a conversion pull request."
)
_AGAIN = "Download the model again; its files are incomplete or damaged."


@dataclass(frozen=True)
class ModelSource:
    """Where a model lies and what it is called: a hub id with its commit, or `local` for a folder.

    A folder's path and name are no part of its identity: moving it must not make stored scores stale.
    """

    folder: Path
    model: str
    revision: str | None


def find_model(model: str | Path, revision: str | None = None) -> ModelSource:
    """The folder of `model`, downloaded first when it is a hub id that the local cache lacks.

    Raises:
        UsageError: a revision was given for a folder.
        ScorerError: no such model, or one without config.json or safetensors weights.
    """
    folder = Path(model)
    if folder.is_dir():
        if revision is not None:
            raise UsageError(
                f"{folder}: found revision {revision!r}, expected none for a folder.",
                cure="Leave the revision out; a folder is identified by its bytes.",
            )
        source = ModelSource(folder, "local", None)
    else:
        source = _download(str(model), revision)
    _check_folder(source.folder)
    return source


def _download(model: str, revision: str | None) -> ModelSource:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise ScorerError(
            f"{model}: no such folder, and downloading needs huggingface_hub ({error}).",
            cure="Install it with `pip install huggingface_hub`, or name a folder.",
        ) from error
    try:
        folder = Path(snapshot_download(model, revision=revision, allow_patterns=_DOWNLOADED))
    except (OSError, ValueError) as error:
        raise ScorerError(
            f"{model}: no such folder, and the hub gave no model ({error}).",
            cure="Check the name and the network, or download the model first and name its folder.",
        ) from error
    return ModelSource(folder, model, folder.name)


def _check_folder(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise ScorerError(
            f"{folder}: no config.json found, expected a transformers model.", cure="Name the model's folder."
        )
    try:
        found = weight_files(folder)
    except (FileNotFoundError, ValueError) as error:
        raise ScorerError(f"{error}.", cure=_AGAIN) from error
    if not found:
        others = sorted(path.name for path in folder.glob("*.bin"))
        pickles = f" (only pickled weights, which run code when loaded: {others})" if others else ""
        raise ScorerError(f"{folder}: no safetensors weights found{pickles}.", cure=_CONVERT)


def model_window(folder: Path) -> int:
    """Positions that the model was built for, by its config.json; 2**31 where it names no limit.

    Raises:
        ScorerError: config.json is not a JSON object.
    """
    try:
        config = dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ScorerError(f"{folder / 'config.json'}: no JSON object ({error}).", cure=_AGAIN) from error
    limits = [config.get(name) for name in ("max_position_embeddings", "n_positions")]
    return min((limit for limit in limits if isinstance(limit, int) and limit > 0), default=2**31)
