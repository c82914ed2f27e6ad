"""A damaged or missing subset folder, published again from the stores under its own version.

What belongs here: one registered version. What does not: making a version again from its spec (reproduce), or finding
what is damaged (verify_subsets).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deita_assets.core.model_folder import file_sha256
from deita_assets.engines.published_folder import Published
from deita_assets.engines.subset_contents import SubsetContents
from deita_assets.engines.verify_subsets import folder_faults
from deita_assets.errors import StoreError
from deita_assets.exports.published import TRAIN
from deita_assets.stores import ledgers, selections
from deita_assets.stores.lance_salvage import set_aside
from deita_assets.stores.lock import file_lock
from deita_assets.stores.registered import Registered, registered
from deita_assets.stores.selections import Selection
from deita_assets.stores.subsets import publish_folder
from deita_assets.stores.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb


def republish(
    warehouse: Warehouse, version: str, *, provenance: Mapping[str, Any], show_rows: bool = False
) -> bool:
    """Set the folder of a version aside and publish it again; False when it is as it was published.

    Args:
        warehouse: where the version is registered.
        version: whole.
        provenance: when, where and by what; never part of the identity.
        show_rows: the card may show the first words of near-duplicates.

    Raises:
        StoreError: the stores do not give the same `train.jsonl` any more; the folder stays as it is.
    """
    home = warehouse.home
    with warehouse.read(f"publish {version} again") as con:
        one = registered(con, version)
        contents = _contents(con, warehouse, one, show_rows=show_rows)
        target, scope = home.root / one.directory, contents.selection.ledger.scope
        with file_lock(
            home.locks / f"subset-{scope.kind}-{scope.name}-{one.budget}.lock", f"publish {version}"
        ):
            if not folder_faults(target, one):
                return False
            expected = _pinned(target, one)
            aside = set_aside(home, target, Path(one.directory).parent) if target.exists() else None

            def write(folder: Path) -> None:
                contents.write(folder)
                _refuse_other_bytes(folder / TRAIN, version, expected)

            try:
                publish_folder(target, write, contents.manifest(), provenance)
            except BaseException:
                if aside is not None and not target.exists():
                    aside.rename(target)
                raise
    return True


def _contents(
    con: duckdb.DuckDBPyConnection, warehouse: Warehouse, one: Registered, *, show_rows: bool
) -> SubsetContents:
    """The files of a registered version; its members are the registry's, whether its ledger has rows still or not."""
    ledger = ledgers.find_ledger(con, one.ledger_id)
    if ledger is None or one.alterations():
        why = "; ".join(one.alterations()) or f"its ledger {one.ledger_id} is gone"
        raise _cannot(one.version, f"the registry is not as it was written: {why}")
    selection = Selection(ledger, one.budget, one.members)
    if selection.version != one.version:
        raise _cannot(one.version, f"its ledger {one.ledger_id} has another spec now")
    counts = ledgers.verdict_counts(con, one.ledger_id, one.budget)
    mix = Counter(member.sample_id.partition(":")[0] for member in one.members)
    turns = None if ledger.pruned else selections.turn_bias(con, selection)
    return SubsetContents(con, warehouse.home, selection, counts, mix, turns, show_rows)


def _pinned(target: Path, one: Registered) -> str | None:
    """sha256 of `train.jsonl` by the manifest that stands there, if that is of this version."""
    if not target.is_dir():
        return None
    published = Published.at(target, one)
    manifest = published.manifest or {}
    return published.sha256(TRAIN) if manifest.get("selection_version") == one.version else None


def _refuse_other_bytes(path: Path, version: str, expected: str | None) -> None:
    found = file_sha256(path)
    if expected is not None and found != expected:
        raise _cannot(
            version, f"the stores give {TRAIN} the sha256 {found[:12]}, its manifest has {expected[:12]}"
        )


def _cannot(version: str, why: str) -> StoreError:
    return StoreError(
        f"{version} cannot be published again: {why}.",
        cure=f"`deita-assets reproduce {version}` says what changed; its folder stays as it is.",
    )
