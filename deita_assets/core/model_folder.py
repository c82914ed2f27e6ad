"""Identity of a model by the bytes of its folder.

What belongs here: which files of a folder decide what a model computes, and their hashes. What does not:
loading a model (scorers and embedders do that), and downloading one.

Only safetensors weights count: pickled weights run code while they load, so no folder that has nothing else
is accepted anywhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"
#: Files that decide how text becomes token ids; absent ones are skipped.
_TOKENIZER_FILES = (
    "added_tokens.json",
    "merges.txt",
    "special_tokens_map.json",
    "spiece.model",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
)
_BLOCK = 1 << 20


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that a loader of `folder` reads, sorted by name; empty if there are none.

    A sharded model names its shards in its index, so stray safetensors files (adapters, a second copy in
    another layout) change nothing.

    Raises:
        FileNotFoundError: when the index names a shard that the folder lacks.
        ValueError: when the index is not JSON with a `weight_map` of file names inside the folder.
    """
    if (folder / _SINGLE).is_file():
        return [folder / _SINGLE]
    if not (folder / _INDEX).is_file():
        return []
    shards = [folder / name for name in _shard_names(folder / _INDEX)]
    for shard in shards:
        if not shard.is_file():
            raise FileNotFoundError(f"{folder / _INDEX} names {shard.name}, which is not in the folder")
    return shards


def _shard_names(index: Path) -> list[str]:
    content = json.loads(index.read_text(encoding="utf-8"))
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise ValueError(f"{index}: no weight_map found, expected one entry per tensor")
    names = sorted(set(weight_map.values()))
    for name in names:
        if Path(name).name != name:
            raise ValueError(f"{index}: found the shard name {name!r}, expected a file name without folders")
    return names


def weights_sha256(folder: Path) -> str:
    """sha256 of the weights of `folder`, 64 hex characters.

    One file: its own sha256, as `sha256sum` prints it. Shards: sha256 over the lines `digest  name` in order
    of name, so a renamed or re-cut model counts as another one.

    Raises:
        FileNotFoundError, ValueError: as `weight_files`; FileNotFoundError also when there are no weights.
    """
    files = weight_files(folder)
    if not files:
        raise FileNotFoundError(f"{folder}: neither {_SINGLE} nor {_INDEX} found")
    return file_sha256(files[0]) if len(files) == 1 else files_sha256(files)


def tokenizer_sha256(folder: Path) -> str:
    """sha256 over every tokenizer file in `folder`: equal weights with other token ids give other results."""
    return files_sha256(folder / name for name in _TOKENIZER_FILES if (folder / name).is_file())


def files_sha256(files: Iterable[Path]) -> str:
    """sha256 over the lines `digest  name` of `files`, in order of name."""
    lines = sorted((path.name, file_sha256(path)) for path in files)
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in lines).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """sha256 of the bytes of one file, remembered in memory as long as its size and time do not change."""
    real = path.resolve()
    state = real.stat()
    return _hash_file(str(real), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=1024)
def _hash_file(path: str, size: int, mtime_ns: int) -> str:
    """`size` and `mtime_ns` are part of the cache key only: 26 GB of weights take about 20 s to hash."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as handle:
        while block := handle.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
