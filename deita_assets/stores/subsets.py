"""Immutable subset folders: written beside their place, synced, then renamed into it; the manifest comes last.

What belongs here: folders, manifests, checksums. What does not: the format of the files inside (exports).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from deita_assets.core.fingerprint import canonical_json
from deita_assets.core.model_folder import file_sha256
from deita_assets.errors import StoreError
from deita_assets.stores.new_folder import sync

MANIFEST = "manifest.json"
#: When, where and by which run; never compared.
PROVENANCE = "provenance.json"


def publish_folder(
    target: Path, write: Callable[[Path], None], manifest: Mapping[str, Any], provenance: Mapping[str, Any]
) -> bool:
    """Make the folder `target` with the files that `write` puts into it; returns False when it stands already.

    A reader sees the whole folder or none: a kill leaves at most a hidden `.new-*` folder, removed at the next call.
    The caller sees to it that no two processes publish beside each other in the folder of `target`.

    Raises:
        StoreError: `target` stands there but its files differ from its manifest.
    """
    if target.exists():
        check_folder(target)
        return False
    for left in target.parent.glob(".new-*"):  # by a kill
        shutil.rmtree(left, ignore_errors=True)
    fresh = target.with_name(f".new-{target.name}")
    fresh.mkdir(parents=True)
    _fill(fresh, write, manifest, provenance)
    fresh.rename(target)
    sync(target.parent)
    return True


def _fill(
    fresh: Path, write: Callable[[Path], None], manifest: Mapping[str, Any], provenance: Mapping[str, Any]
) -> None:
    """Write all files of a subset and sync them; the manifest comes last."""
    write(fresh)
    _write_json(fresh / PROVENANCE, provenance)
    files = {
        str(path.relative_to(fresh)): file_entry(path) for path in _files(fresh) if path != fresh / PROVENANCE
    }
    _write_json(fresh / MANIFEST, {**manifest, "files": files})
    for path in fresh.rglob("*"):
        sync(path)
    sync(fresh)


def check_folder(folder: Path) -> dict[str, Any]:
    """The manifest of a subset, after every file of it was found unaltered.

    Raises:
        StoreError: a file is missing, its sha256 differs, or a file stands there that the manifest does not know
            (`load_dataset` would read a second Parquet file).
    """
    manifest = _manifest(folder)
    expected: dict[str, str] = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    for name, sha256 in expected.items():
        path = folder / name
        found = file_entry(path)["sha256"] if path.is_file() else "missing"
        if found != sha256:
            raise _altered(f"{folder.name}/{name}: found {found[:12]}, its manifest says {sha256[:12]}.")
    for name in strangers(folder, expected):
        raise _altered(f"{folder.name}/{name} is not in the manifest.")
    return manifest


def strangers(folder: Path, known: Collection[str]) -> list[str]:
    """Visible files that are neither `known` nor written beside the files of a manifest, in name order."""
    names = {path.relative_to(folder) for path in _files(folder)}
    visible = {str(name) for name in names if not any(part.startswith(".") for part in name.parts)}
    return sorted(visible - {*known, MANIFEST, PROVENANCE})


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        manifest["files"].items()
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _altered(f"{folder.name}/{MANIFEST} is missing or no manifest ({error}).") from error
    return manifest


def _altered(what: str) -> StoreError:
    return StoreError(what, cure="The folder was altered. Move it away and run the same `curate` again.")


def file_entry(path: Path) -> dict[str, Any]:
    """sha256 and bytes of a file, as manifests have them."""
    return {"sha256": file_sha256(path), "bytes": path.stat().st_size}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    text = json.dumps(json.loads(canonical_json(dict(value))), indent=1, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
