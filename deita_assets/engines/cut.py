"""Subsets: the first rows of a ledger, published as an immutable, registered version.

What belongs here: from a ledger to files and a registered version. What does not: making ledgers (select), or
writing the formats (exports).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deita_assets.engines.licences import refuse_unknown_licences
from deita_assets.engines.select import PassOptions, deepen, sibling
from deita_assets.engines.subset_contents import SubsetContents
from deita_assets.exports.card import unknown_licences
from deita_assets.stores import ledgers, selections
from deita_assets.stores.ledgers import StoredLedger
from deita_assets.stores.lock import file_lock
from deita_assets.stores.selections import Selection, TurnBias
from deita_assets.stores.subsets import publish_folder
from deita_assets.stores.warehouse import Warehouse


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
    #: Sources of selected rows whose licence nobody said.
    unknown_licences: Sequence[str] = ()


def cut_subset(
    warehouse: Warehouse,
    ledger: StoredLedger,
    budget: int,
    *,
    provenance: Mapping[str, Any],
    trial: bool = False,
    options: PassOptions | None = None,
    show_rows: bool = False,
    require_licence: bool = False,
) -> Cut:
    """Publish the first `budget` kept rows of a ledger as an immutable, registered version.

    Args:
        warehouse: of the home.
        ledger: to cut; deepened first when it holds too few kept rows.
        budget: rows wanted.
        provenance: run, time and place, kept beside the version and outside its identity.
        trial: register it without making it the current version of its scope and budget.
        options: how a pass is to run.
        show_rows: the card may show the first words of near-duplicates.
        require_licence: refuse rows of sources whose licence nobody said.

    Raises:
        DeitaError: a licence is required and unknown.
        StoreError: what the ledger or the folder holds was altered.
    """
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
        contents = SubsetContents(con, home, selection, counts, mix, turns, show_rows)
        unknown = unknown_licences(contents.sources, mix)
        if require_licence:
            refuse_unknown_licences(unknown)
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
    return Cut(selection, target, new, previous, counts, dict(mix), turns, unknown)
