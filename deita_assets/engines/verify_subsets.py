"""Audit of the published subsets: versions against their hashes, folders against their manifests.

What belongs here: the registry of versions and the folders below `subsets/`. What does not: making a folder again
(verify_republish), or making a version again from its spec (reproduce).
"""

from __future__ import annotations

from pathlib import Path

from deita_assets.core.model_folder import file_sha256
from deita_assets.engines.compact import find_leftovers
from deita_assets.engines.published_folder import Published
from deita_assets.engines.verify_parts import REPAIR, Audit, Damage, OnPart, Part
from deita_assets.errors import NotFoundError
from deita_assets.exports.published import TRAIN, TRAIN_PARQUET
from deita_assets.stores.home import Home
from deita_assets.stores.registered import Registered, registered
from deita_assets.stores.subsets import MANIFEST
from deita_assets.stores.warehouse import Warehouse

SUBSETS, VERSIONS = "subsets", "versions"
_AGAIN = f"{REPAIR} sets the folder aside and publishes it again from the stores."


def audit_subsets(warehouse: Warehouse, on_part: OnPart) -> Audit:
    """Registry and folders; a version that is published meanwhile is seen whole or not at all."""
    home, found = warehouse.home, Audit([Part(VERSIONS, "versions"), Part(SUBSETS, "folders")])
    folders = _folders(home)
    with warehouse.read("verify: versions") as con:
        rows = con.execute("select selection_version from store.selection order by 1").fetchall()
    versions = [str(version) for (version,) in rows]
    known = set()
    for at, version in enumerate(versions, 1):
        with warehouse.read(f"verify: {version}") as con:
            try:
                one = registered(con, version)
            except NotFoundError:  # mended meanwhile
                continue
        known.add(home.root / one.directory)
        found.damage += _one_version(home, one)
        on_part(SUBSETS, at, len(versions))
    found.parts[0].looked_at, found.parts[1].looked_at = len(versions), len(known | folders)
    _strangers(home, folders - known, found)
    return found


def _folders(home: Home) -> set[Path]:
    return {path for path in home.subsets.glob("*/*/*/*") if path.is_dir() and not path.name.startswith(".")}


def _one_version(home: Home, one: Registered) -> list[Damage]:
    found = []
    if altered := one.alterations():
        found.append(
            Damage(
                VERSIONS, "registry", 1, f"the registry is not as it was written: {'; '.join(altered)}",
                f"`deita-assets reproduce {one.version}` says what of it can be had still; restore a backup of "
                "warehouse.duckdb, or curate the scope again for a new version.",
                (one.version,), repairable=False,
            )
        )  # fmt: skip
    if faults := folder_faults(home.root / one.directory, one):
        missing = not (home.root / one.directory).is_dir()
        found.append(
            Damage(
                SUBSETS, "folder", 1, f"{one.directory}: {'; '.join(faults[:5])}", _AGAIN, (one.version,),
                facts=missing,
            )
        )  # fmt: skip
    return found


def folder_faults(folder: Path, one: Registered) -> list[str]:
    """What of a folder is gone or altered, in words; every file is read."""
    if not folder.is_dir():
        return ["the folder is gone"]
    published = Published.at(folder, one)
    if published.manifest is None:
        return [f"{MANIFEST} is gone or no manifest"]
    faults = [each.message for each in published.findings if each.state != "note"]
    for name in (TRAIN, TRAIN_PARQUET):
        path, pinned = folder / name, published.sha256(name)
        if pinned is None:
            faults.append(f"{MANIFEST} does not name {name}")
        elif not path.is_file():
            faults.append(f"{name} is gone")
        elif (found := file_sha256(path)) != pinned:
            faults.append(f"{name} has the sha256 {found[:12]}, not {pinned[:12]}")
    return faults


def _strangers(home: Home, folders: set[Path], found: Audit) -> None:
    """Folders without a version, and what killed processes left: nothing reads them."""
    found.parts[1].orphans = len(folders)
    if folders:
        names = [str(path.relative_to(home.root)) for path in sorted(folders)]
        found.notes.append(
            f"{len(names):,} folders belong to no registered version: {', '.join(names[:3])}. A publish that was "
            "killed leaves one, and the next registers it; others may be removed."
        )
    if left := list(find_leftovers(home)):
        found.notes.append(
            f"{len(left):,} files or folders were left by killed processes, {left[0].path.name} among them; "
            "`deita-assets compact` removes them."
        )
