"""Two selection versions compared: counts by change and reason and by source, and what differs between their specs.

What belongs here: what commands and assets say of a diff. What does not: the diff itself (macro `selection_diff`), or
printing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from deita_assets.engines.spec_words import SpecChange, spec_changes
from deita_assets.stores.sql import first, statement

if TYPE_CHECKING:
    import duckdb

#: Changes in the order in which they are told.
CHANGES = ("added", "removed", "moved", "unchanged")


@dataclass(frozen=True)
class SourceCount:
    """Rows of one source in two selections."""

    source: str
    a: int
    b: int
    added: int
    removed: int


@dataclass(frozen=True)
class SelectionDiff:
    """How two selections differ.

    Attributes:
        a: version of the first.
        b: version of the second.
        same_members: True when both hold the same rows in the same order.
        changes: change -> rows, for each of `CHANGES`.
        reasons: (change, reason) -> rows; a reason is None for rows that both hold, and where nothing tells.
        sources: one for each source of either.
        spec: what differs between their specs.
        pruned: ids of their ledgers whose rows were let go, so that reasons may be missing.
    """

    a: str
    b: str
    same_members: bool
    changes: Mapping[str, int]
    reasons: Mapping[tuple[str, str | None], int]
    sources: tuple[SourceCount, ...]
    spec: tuple[SpecChange, ...]
    pruned: tuple[str, ...]


def selection_diff(con: duckdb.DuckDBPyConnection, a: str, b: str) -> SelectionDiff:
    """Compare two registered versions, by their whole names.

    Args:
        con: the warehouse, or its published copy.
        a: a version.
        b: another, or the same.
    """
    rows = con.execute(
        "select split_part(sample_id, ':', 1), change, reason, count(*) from selection_diff(?, ?) "
        "group by all order by all",
        [a, b],
    ).fetchall()
    changes = Counter(dict.fromkeys(CHANGES, 0))
    reasons: Counter[tuple[str, str | None]] = Counter()
    by_source: dict[str, Counter[str]] = {}
    for source, change, reason, n_rows in rows:
        changes[change] += n_rows
        reasons[change, reason] += n_rows
        by_source.setdefault(source, Counter())[change] += n_rows
    (made_a, members_a, ledger_a, spec_a), (made_b, members_b, ledger_b, spec_b) = (
        _registered(con, version) for version in (a, b)
    )
    return SelectionDiff(
        a, b, members_a == members_b, dict(changes),
        dict(sorted(reasons.items(), key=lambda each: (CHANGES.index(each[0][0]), -each[1], each[0][1] or ""))),
        tuple(_source_count(source, n) for source, n in sorted(by_source.items())),
        tuple(_told(con, change, a, b) for change in spec_changes(spec_a, spec_b, _models(con))),
        tuple(dict.fromkeys(ledger for ledger in (ledger_a, ledger_b) if _is_pruned(con, ledger))),
    )  # fmt: skip


def changed_rows(con: duckdb.DuckDBPyConnection, a: str, b: str, limit: int) -> list[dict[str, Any]]:
    """The first `limit` rows of each change and reason, with first instructions; unchanged rows are left out."""
    cursor = con.execute(statement("explain/diff_rows"), {"a": a, "b": b, "limit": limit})
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _source_count(source: str, n: Counter[str]) -> SourceCount:
    shared = n["moved"] + n["unchanged"]
    return SourceCount(source, shared + n["removed"], shared + n["added"], n["added"], n["removed"])


def _registered(con: duckdb.DuckDBPyConnection, version: str) -> tuple[Any, str, str, dict[str, Any]]:
    row = first(
        con.execute(
            "select created_at, members_sha256, ledger_id, spec from store.selection where selection_version = ?",
            [version],
        )
    )
    assert row is not None, version  # noqa: S101 - the caller looked it up
    return row[0], row[1], row[2], json.loads(row[3])


def _is_pruned(con: duckdb.DuckDBPyConnection, ledger_id: str) -> bool:
    row = first(
        con.execute("select pruned_at is not null from store.ledger where ledger_id = ?", [ledger_id])
    )
    return row is None or bool(row[0])


def _models(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    return dict(con.execute("select fingerprint, name from store.fingerprint").fetchall())


def _told(con: duckdb.DuckDBPyConnection, change: SpecChange, a: str, b: str) -> SpecChange:
    """A pool that moved, with the rows that came and went."""
    if not change.what.startswith("pool of ") or change.a is None or change.b is None:
        return change
    source = change.what.removeprefix("pool of ")
    seqs = dict(
        con.execute(
            "select selection_version, seq from store.selection_pin where depth = 0 and source = ? "
            "and selection_version in (?, ?)",
            [source, a, b],
        ).fetchall()
    )
    if seqs.get(a) is None or seqs.get(b) is None:
        return change
    moved = first(
        con.execute(statement("explain/pool_moved"), {"source": source, "seq_a": seqs[a], "seq_b": seqs[b]})
    )
    came, went = moved or (0, 0)
    return replace(change, text=f"{change.text} (+{came:,} -{went:,} rows)")
