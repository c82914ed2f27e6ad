"""Subsets: the first rows of a ledger, published as an immutable, registered version.

What belongs here: from a ledger to files and a registered version. What does not: making ledgers (select), or
writing the formats (exports).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deita_assets.engines.select import PassOptions, deepen, sibling
from deita_assets.exports.card import dataset_card
from deita_assets.exports.jsonl import write_messages_jsonl
from deita_assets.exports.parquet import write_parquet
from deita_assets.stores import ledgers, selections
from deita_assets.stores.ledgers import StoredLedger
from deita_assets.stores.lock import file_lock
from deita_assets.stores.selections import Selection, TurnBias
from deita_assets.stores.subsets import publish_folder
from deita_assets.stores.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Cut:
    """A published selection version."""

    selection: Selection
    directory: Path
    new: bool
    previous: str | None
    counts: Mapping[str, int]
    mix: Mapping[str, int]
    turns: TurnBias


def cut_subset(
    warehouse: Warehouse,
    ledger: StoredLedger,
    budget: int,
    *,
    provenance: Mapping[str, Any],
    trial: bool = False,
    options: PassOptions | None = None,
) -> Cut:
    """Publish the first `budget` kept rows of a ledger as an immutable, registered version."""
    if ledger.for_one_budget and ledger.spec["budget"] != budget:
        ledger = sibling(warehouse, ledger, budget, options)
    ledger = deepen(warehouse, ledger, budget, options)
    home = warehouse.home
    with warehouse.read(f"subset of {ledger.scope.name}") as con:
        selection = selections.cut(con, ledger, budget)
        target = home.subset(ledger.scope.kind, ledger.scope.name, budget, selection.version)
        previous = selections.head_members(con, ledger.scope.kind, ledger.scope.name, budget)
        counts = ledgers.verdict_counts(con, ledger.ledger_id, budget)
        mix = Counter(member.sample_id.partition(":")[0] for member in selection.members)
        turns = selections.turn_bias(con, selection)
        contents = _Contents(con, selection, counts, mix, turns)
        lock = home.locks / f"subset-{ledger.scope.kind}-{ledger.scope.name}-{budget}.lock"
        with file_lock(lock, f"publish {selection.version}"):
            new = publish_folder(target, contents.write, contents.manifest(), provenance)
    with warehouse.write(f"register {selection.version}") as con:
        selections.register(
            con,
            selection,
            str(target.relative_to(home.root)),
            run_id=str(provenance.get("run_id", "")),
            head=not trial,
        )
    return Cut(selection, target, new, previous, counts, dict(mix), turns)


class _Contents:
    """The files of one subset, written from an open read connection."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        selection: Selection,
        counts: Mapping[str, int],
        mix: Mapping[str, int],
        turns: TurnBias,
    ) -> None:
        self.con, self.selection, self.counts, self.mix, self.turns = con, selection, counts, mix, turns
        self.fingerprints = selections.fingerprint_specs(con, list(selection.spec["fingerprints"].values()))
        self.sources = selections.source_rows(con, selection.spec)

    def write(self, folder: Path) -> None:
        """Fill an empty folder."""
        (folder / "data").mkdir()
        write_messages_jsonl(folder / "train.jsonl", selections.member_rows(self.con, self.selection))
        write_parquet(
            folder / "data" / "train-00000-of-00001.parquet", selections.member_rows(self.con, self.selection)
        )
        scope = self.selection.ledger.scope
        card = dataset_card(
            title=f"{scope.name}, {len(self.selection.members):,} rows",
            spec=self.selection.spec, n_rows=len(self.selection.members), counts=self.counts, sources=self.sources,
            mix=self.mix, fingerprints=self.fingerprints, version=self.selection.version,
            turns=(self.turns.selected, self.turns.pool),
            n_frozen=min(self.selection.budget, selections.frozen_rows(self.con, self.selection.ledger.ledger_id)),
        )  # fmt: skip
        (folder / "README.md").write_text(card, encoding="utf-8")

    def manifest(self) -> dict[str, Any]:
        """Everything that decided this version; files are added with their checksums."""
        return {
            "selection_version": self.selection.version,
            "spec": self.selection.spec,
            "ledger_id": self.selection.ledger.ledger_id,
            "members_sha256": self.selection.members_sha256,
            "n_rows": len(self.selection.members),
            "verdicts": dict(self.counts),
            "mix": dict(self.mix),
            "mean_turns": {"selected": self.turns.selected, "pool": self.turns.pool},
            "fingerprints": {digest: dict(value) for digest, value in self.fingerprints.items()},
            "sources": self.sources,
        }
