"""Rules about a published subset: the budget, the trail of every member, the files, the licences.

What belongs here: the rules of `selected_subset`, `pooled_subset` and `serving_catalog`. What does not: publishing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deita_assets.core.checks.finding import Finding, curate, few, rows
from deita_assets.core.verdicts import KEPT, NEAR_DUPLICATE


def budget_met(
    kind: str, scope: str, budget: int, n_rows: int, verdicts: Mapping[str, int], exhausted: bool
) -> Finding:
    """A subset holds as many rows as its budget asks for; a warning with the reasons where the pool has no more.

    Args:
        kind: `source` or `mixture`.
        scope: its name.
        budget: rows wanted.
        n_rows: rows published.
        verdicts: of its ledger at this budget: verdict -> rows.
        exhausted: whether its pass visited every row.
    """
    passed = n_rows == budget
    rest = [
        f"{count:,} {name}"
        for name, count in verdicts.items()
        if name not in (KEPT, "beyond_budget") and count
    ]
    why = f"of the others {', '.join(rest)}" if rest else "the pool has no others"
    if not exhausted:
        why += "; the pass ended before the last row"
    return Finding(
        "budget_met", passed,
        f"{scope}: {n_rows:,} of {budget:,} rows." if passed else
        f"{scope}: {n_rows:,} rows, not {budget:,}: {why}.",
        "" if passed else _more(scope, budget, verdicts),
        numbers={
            "budget": budget, "rows": n_rows, "short": max(budget - n_rows, 0),
            "near_duplicates": verdicts.get(NEAR_DUPLICATE, 0),
        },
    )  # fmt: skip


def _more(scope: str, budget: int, verdicts: Mapping[str, int]) -> str:
    add = "Add rows with `deita-assets add SOURCE PATH`, or choose a smaller budget."
    if not verdicts.get(NEAR_DUPLICATE):
        return add
    return f"{add} `deita-assets calibrate {scope}` shows what a higher threshold would keep for {budget:,}."


@dataclass(frozen=True)
class MemberTrail:
    """The members of one version and what they can be traced to.

    Attributes:
        kind: `source` or `mixture`.
        scope: its name.
        version: of the selection.
        n_members: in the registry.
        altered: what in the registry is not as it was written, in words.
        nowhere: members without file and line at the pool versions of the selection; `n_nowhere` of them.
        unscored: members with a turn that has no score of the spec's scorers; `n_unscored`.
        unembedded: members without a vector of the spec's embedder; `n_unembedded`.
    """

    kind: str
    scope: str
    version: str
    n_members: int
    altered: tuple[str, ...] = ()
    nowhere: tuple[str, ...] = ()
    n_nowhere: int = 0
    unscored: tuple[str, ...] = ()
    n_unscored: int = 0
    unembedded: tuple[str, ...] = ()
    n_unembedded: int = 0


def lineage_complete(found: MemberTrail) -> Finding:
    """Every member stands in a file and line, and has the scores and the vector that it was chosen by."""
    wrong = [
        *found.altered,
        f"{rows(found.n_nowhere)} in no file" if found.n_nowhere else "",
        f"{rows(found.n_unscored)} without a score" if found.n_unscored else "",
        f"{rows(found.n_unembedded)} without a vector" if found.n_unembedded else "",
    ]
    said = "; ".join(part for part in wrong if part)
    told = f"{found.scope}: {rows(found.n_members, 'member')} of {found.version}"
    return Finding(
        "lineage_complete", not said,
        f"{told}, each traced to file, line, scores and vector." if not said else f"{told}: {said}.",
        f"{_trail_cure(found)} `deita-assets reproduce {found.version}` says what else differs." if said else "",
        grave=True,
        numbers={
            "members": found.n_members, "in_no_file": found.n_nowhere, "without_score": found.n_unscored,
            "without_vector": found.n_unembedded, "registry_faults": len(found.altered),
        },
        examples=few((*found.nowhere, *found.unscored, *found.unembedded)),
    )  # fmt: skip


def _trail_cure(found: MemberTrail) -> str:
    concerned = sorted(
        {one.partition(":")[0] for one in (*found.nowhere, *found.unscored, *found.unembedded)}
    )
    again = curate(found.kind, found.scope)
    if found.n_nowhere:
        return (
            f"Read the files again: `deita-assets withdraw {concerned[0]}`, then the `deita-assets add` that it "
            f"prints, then {again}."
        )
    if concerned:
        return (
            f"Run `deita-assets verify --repair`, which computes the missing scores and vectors of "
            f"{', '.join(concerned)} again, then {again}."
        )
    return (
        f"{again} writes its rows again where a ledger gives this version still; else it forgets the version, whose "
        "folder stays, and registers the one that the ledger gives now."
    )


def files_intact(scope: str, version: str, n_files: int, n_bytes: int, altered: str, cure: str) -> Finding:
    """Every file of a version's folder has the sha256 that its manifest says, and none is there beside them.

    Args:
        scope: name of the scope.
        version: of the selection.
        n_files: files in its manifest.
        n_bytes: bytes of them.
        altered: what differs, in words; empty when nothing does.
        cure: what to do about it.
    """
    return Finding(
        "files_intact", not altered,
        f"{scope}: {rows(n_files, 'file')} of {version} as written." if not altered
        else f"{scope}: {version}: {altered}",
        cure, grave=True, numbers={"files": n_files, "bytes": n_bytes},
    )  # fmt: skip


@dataclass(frozen=True)
class PublishedCounts:
    """Rows by table in the warehouse and in its published copy; `moved_on` when the former was written to since."""

    warehouse: Mapping[str, int]
    serving: Mapping[str, int]
    moved_on: bool


def catalog_agrees(found: PublishedCounts) -> Finding:
    """The published copy holds as many rows of everything as the warehouse that it was copied from."""
    different = sorted(
        name
        for name in {*found.warehouse, *found.serving}
        if found.warehouse.get(name) != found.serving.get(name)
    )
    passed = found.moved_on or not different
    told = f"{rows(len(found.serving), 'table')} with {rows(sum(found.serving.values()))}"
    after = (
        " The warehouse was written to since; compared again when it is published next."
        if found.moved_on
        else ""
    )
    listed = ", ".join(
        f"{name} {found.serving.get(name, 0):,} for {found.warehouse.get(name, 0):,}"
        for name in different[:5]
    )
    return Finding(
        "stores_agree", passed,
        f"serving.duckdb: {told}.{after}" if passed else f"serving.duckdb differs from the warehouse: {listed}.",
        "" if passed else "Delete serving.duckdb and run `deita-assets curate`: it is published anew.",
        grave=True,
        numbers={
            "tables": len(found.serving), "rows": sum(found.serving.values()),
            "different_tables": 0 if found.moved_on else len(different),
        },
        examples=() if passed else few(different),
    )  # fmt: skip
