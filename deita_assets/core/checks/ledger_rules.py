"""Rules about a ledger: a verdict for every row of its pools, and a reason that can be followed for each.

What belongs here: the rules of `selection_ledger` and `pooled_ledger`. What does not: passes and their verdicts, or
how many rows a threshold drops (core.drop_rate).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deita_assets.core.checks.finding import Finding, curate, few, rows
from deita_assets.core.verdicts import KEPT, VERDICTS


@dataclass(frozen=True)
class LedgerCounts:
    """A ledger as its head tells it and as its rows are.

    Attributes:
        kind: `source` or `mixture`.
        scope: its name.
        ledger_id: of the ledger.
        n_rows: rows that its head tells.
        n_kept: rows kept, likewise.
        n_pool: rows of its sources at the pool versions of its spec, by the record of these versions.
        n_from_base: rows of its frozen base that stand in none of them.
        n_ids: different sample ids among its rows.
        verdicts: verdict -> rows.
        positions: (smallest, greatest, different) kept positions.
        ranks: (smallest, greatest, different, all) ranks.
        lacking: ids of pool rows without a verdict, where the pools are still at these versions.
    """

    kind: str
    scope: str
    ledger_id: str
    n_rows: int
    n_kept: int
    n_pool: int
    n_from_base: int
    n_ids: int
    verdicts: Mapping[str, int]
    positions: tuple[int, int, int]
    ranks: tuple[int, int, int, int]
    lacking: tuple[str, ...] = ()


def _again(kind: str, scope: str) -> str:
    """A ledger that was altered is let go, and then made again: one that stands is taken as it is."""
    return f"{curate(kind, scope)} lets the altered ledger go and makes it again."


def row_accounting(found: LedgerCounts) -> Finding:
    """One verdict for every row of the pools, kept rows numbered 1, 2, 3, ..., ranked rows too."""
    n_found = sum(found.verdicts.values())
    expected = found.n_pool + found.n_from_base
    unknown = sorted(set(found.verdicts) - set(VERDICTS))
    smallest, greatest, different, ranked = found.ranks
    n_kept = found.verdicts.get(KEPT, 0)
    wrong = [
        f"{n_found:,} verdicts for {rows(expected)}" if not n_found == found.n_ids == expected else "",
        f"its head tells {rows(found.n_rows)}" if found.n_rows != n_found else "",
        f"{n_kept:,} rows kept, its head tells {found.n_kept:,}" if n_kept != found.n_kept else "",
        "kept positions are not 1, 2, 3, ..." if found.positions != _counted(n_kept) else "",
        "ranks are not 1, 2, 3, ..." if (smallest, greatest, different) != _counted(ranked) else "",
        f"unknown verdicts: {', '.join(unknown)}" if unknown else "",
        "rows of the pool without a verdict" if found.lacking else "",
    ]
    said = "; ".join(part for part in wrong if part)
    told = f"{found.scope}: {n_found:,} verdicts for {rows(expected)}, {n_kept:,} kept"
    return Finding(
        "row_accounting", not said,
        f"{told}." if not said else f"{found.scope}: ledger {found.ledger_id} does not add up: {said}.",
        _again(found.kind, found.scope) if said else "",
        grave=True,
        numbers={
            "rows": n_found, "expected": expected, "ranked": ranked,
            **{f"verdict_{name}": found.verdicts.get(name, 0) for name in VERDICTS},
        },
        examples=few(found.lacking),
    )  # fmt: skip


def _counted(n: int) -> tuple[int, int, int]:
    """(smallest, greatest, different) of 1 .. n."""
    return (1, n, n) if n else (0, 0, 0)


@dataclass(frozen=True)
class LedgerLinks:
    """What the rows of a ledger refer to, and whether it is there.

    Attributes:
        n_chosen: rows kept or dropped for a kept one.
        nowhere: ids of these that stand in no file at the pool versions of the spec.
        n_nowhere: how many.
        unscored: ids of these without an evol_score.
        n_unscored: how many.
        unblocked: near-duplicates whose kept row is not named, not kept, or was kept after them.
        n_unblocked: how many.
    """

    kind: str
    scope: str
    ledger_id: str
    n_chosen: int
    nowhere: tuple[str, ...] = ()
    n_nowhere: int = 0
    unscored: tuple[str, ...] = ()
    n_unscored: int = 0
    unblocked: tuple[str, ...] = ()
    n_unblocked: int = 0


def lineage_complete(found: LedgerLinks) -> Finding:
    """Every row that was kept or dropped stands in a file, has a score, and a dropped one names the kept one."""
    wrong = [
        f"{rows(found.n_nowhere)} in no file" if found.n_nowhere else "",
        f"{rows(found.n_unscored)} without an evol_score" if found.n_unscored else "",
        f"{rows(found.n_unblocked, 'near-duplicate')} without the name of a row that was kept before"
        if found.n_unblocked
        else "",
    ]
    said = "; ".join(part for part in wrong if part)
    told = f"{found.scope}: {rows(found.n_chosen)} kept or dropped"
    return Finding(
        "lineage_complete", not said,
        f"{told}, each traced to file, line, score and the row that blocked it." if not said else
        f"{told} by ledger {found.ledger_id}: {said}.",
        _cure(found) if said else "",
        grave=True,
        numbers={
            "traced": found.n_chosen, "in_no_file": found.n_nowhere, "without_score": found.n_unscored,
            "without_blocker": found.n_unblocked,
        },
        examples=few((*found.nowhere, *found.unscored, *found.unblocked)),
    )  # fmt: skip


def _cure(found: LedgerLinks) -> str:
    if not found.n_nowhere:
        return _again(found.kind, found.scope)
    sources = sorted({sample_id.partition(":")[0] for sample_id in found.nowhere})
    return (
        f"Read the files again: `deita-assets withdraw {sources[0]}`, then the `deita-assets add` that it prints, then "
        f"{curate(found.kind, found.scope)}."
    )
