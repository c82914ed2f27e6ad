"""Immutable subset folders: written beside their place, synced, then renamed into it; the manifest comes last.

What belongs here: folders, manifests, checksums. What does not: the format of the files inside (exports).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from deita_assets.core.fingerprint import canonical_json
from deita_assets.errors import StoreError

MANIFEST = "manifest.json"


def publish_folder(
    target: Path, write: Callable[[Path], None], manifest: Mapping[str, Any], provenance: Mapping[str, Any]
) -> bool:
    """Make the folder `target` with the files that `write` puts into it; returns False when it stands already.

    A reader sees the whole folder or none: a kill leaves at most a hidden `.new-*` folder, removed at the next call.

    Raises:
        StoreError: `target` stands there but its files differ from its manifest.
    """
    if (target / MANIFEST).exists():
        check_folder(target)
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f".new-{target.name}-*"):
        shutil.rmtree(left, ignore_errors=True)
    fresh = target.with_name(f".new-{target.name}-{os.getpid()}")
    fresh.mkdir()
    write(fresh)
    _write_json(fresh / "provenance.json", provenance)
    files = {
        str(path.relative_to(fresh)): _file_entry(path)
        for path in _files(fresh)
        if path.name != "provenance.json"
    }
    _write_json(fresh / MANIFEST, {**manifest, "files": files})
    for path in _files(fresh):
        _sync(path)
    _sync(fresh)
    fresh.rename(target)
    _sync(target.parent)
    return True


def check_folder(folder: Path) -> dict[str, Any]:
    """The manifest of a subset, after every file of it was found unaltered.

    Raises:
        StoreError: a file is missing or its sha256 differs.
    """
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    for name, entry in manifest["files"].items():
        path = folder / name
        found = _file_entry(path)["sha256"] if path.is_file() else "missing"
        if found != entry["sha256"]:
            raise StoreError(
                f"{folder.name}/{name}: found {found[:12]}, its manifest says {entry['sha256'][:12]}.",
                cure="The folder was altered. Move it away and run the same `curate` again.",
            )
    return manifest


def _file_entry(path: Path) -> dict[str, Any]:
    with path.open("rb") as handle:
        return {"sha256": hashlib.file_digest(handle, "sha256").hexdigest(), "bytes": path.stat().st_size}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    text = json.dumps(json.loads(canonical_json(dict(value))), indent=1, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
