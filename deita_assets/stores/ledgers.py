"""Ledgers in the warehouse: one verdict per pool row and scope, many ledgers side by side.

What belongs here: reading candidates and writing verdicts. What does not: deciding them.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from deita_assets.core.fingerprint import canonical_json
from deita_assets.errors import NotFoundError
from deita_assets.stores.sql import first, statement

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Scope:
    """What is selected from: one source, or a mixture of several."""

    kind: str
    name: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Candidates:
    """Every pool row of a scope, in (source, sample_id) order."""

    sample_ids: list[str]
    contents: list[str]
    sources: list[str]
    products: list[list[float] | None]
    unscored: list[str | None]


@dataclass(frozen=True)
class StoredLedger:
    """One ledger's head data; its rows stay in the store until asked for."""

    ledger_id: str
    scope: Scope
    spec: Mapping[str, Any]
    threshold: float | None
    n_rows: int
    n_kept: int
    n_visited: int
    exhausted: bool
    trial: bool
    pruned: bool = False

    @property
    def for_one_budget(self) -> bool:
        """True when its selector is not prefix-stable, so that each budget has a ledger of its own."""
        return "budget" in self.spec

    def serves(self, budget: int) -> bool:
        """True when a selection of `budget` rows can be cut from it as it is."""
        return self.exhausted or self.n_kept >= budget


@dataclass(frozen=True)
class LedgerRows:
    """The rows of one ledger as columns of equal length, any order."""

    sample_ids: Sequence[str]
    rank: NDArray[np.int64]
    verdict: Sequence[str]
    reason: Sequence[str | None]
    evol_score: NDArray[np.float64]
    kept_position: NDArray[np.int64]
    blocked_by: Sequence[str | None]
    similarity: NDArray[np.float64]

    def to_arrow(self) -> pa.Table:
        """Arrow table with NULL for -1 ranks and positions and for NaN values."""
        return pa.table(
            {
                "sample_id": list(self.sample_ids),
                "rank": pa.array(self.rank, mask=self.rank < 0),
                "verdict": list(self.verdict),
                "reason": pa.array(self.reason, pa.string()),
                "evol_score": pa.array(self.evol_score, from_pandas=True),
                "kept_position": pa.array(self.kept_position, mask=self.kept_position < 0),
                "blocked_by": pa.array(self.blocked_by, pa.string()),
                "similarity": pa.array(self.similarity, from_pandas=True),
            }
        )


def candidates(con: duckdb.DuckDBPyConnection, sources: Sequence[str]) -> Candidates:
    """Every scored-pool row of `sources`."""
    rows = con.execute(statement("selection/candidates"), {"sources": list(sources)}).fetchall()
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)] if rows else [[]] * 5
    return Candidates(*columns)


def scored_versions(
    con: duckdb.DuckDBPyConnection, sources: Sequence[str]
) -> dict[str, tuple[str, str, str]]:
    """(pool_version, complexity fingerprint, quality fingerprint) of each source's scored pool.

    A source whose pool is empty has no scored row to tell; its coverage does.
    """
    rows = con.execute(statement("selection/scored_versions"), {"sources": list(sources)}).fetchall()
    return {str(source): (version, complexity, quality) for source, version, complexity, quality in rows}


def save_ledger(
    con: duckdb.DuckDBPyConnection, ledger: StoredLedger, rows: LedgerRows, *, head: bool
) -> None:
    """Write a ledger with its rows, replacing a shallower pass of the same id; `head` makes it its scope's current."""
    con.execute("delete from store.ledger_row where ledger_id = ?", [ledger.ledger_id])
    con.execute(
        "insert or replace into store.ledger values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, null)",
        [
            ledger.ledger_id, ledger.scope.kind, ledger.scope.name, canonical_json(dict(ledger.spec)),
            ledger.threshold, ledger.n_rows, ledger.n_kept, ledger.n_visited, ledger.exhausted, ledger.trial,
            dt.datetime.now(dt.UTC),
        ],
    )  # fmt: skip
    con.register("ledger_now", rows.to_arrow())
    con.execute(statement("selection/insert_ledger_row"), {"ledger_id": ledger.ledger_id})
    con.unregister("ledger_now")
    if head:
        set_ledger_head(con, ledger)


def set_ledger_head(con: duckdb.DuckDBPyConnection, ledger: StoredLedger) -> None:
    """Make a ledger the current one of its scope."""
    con.execute(
        "insert or replace into store.ledger_head values (?, ?, ?)",
        [ledger.scope.kind, ledger.scope.name, ledger.ledger_id],
    )
    con.execute("update store.ledger set trial = false where ledger_id = ?", [ledger.ledger_id])


def find_ledger(con: duckdb.DuckDBPyConnection, ledger_id: str) -> StoredLedger | None:
    """A ledger by id, or None."""
    row = first(
        con.execute(
            "select scope_kind, scope, spec, threshold, n_rows, n_kept, n_visited, exhausted, trial, "
            "pruned_at is not null "
            "from store.ledger where ledger_id = ?",
            [ledger_id],
        )
    )
    if row is None:
        return None
    kind, name, spec, *rest = row
    parsed = json.loads(spec)
    scope = Scope(kind, name, tuple(source for source, _ in parsed["sources"]))
    return StoredLedger(ledger_id, scope, parsed, *rest)


def head_id(con: duckdb.DuckDBPyConnection, scope_kind: str, scope: str) -> str | None:
    """Id of the current ledger of a scope, or None."""
    query = "select ledger_id from store.ledger_head where scope_kind = ? and scope = ?"
    row = first(con.execute(query, [scope_kind, scope]))
    return str(row[0]) if row else None


def head_ledger(con: duckdb.DuckDBPyConnection, scope_kind: str, scope: str) -> StoredLedger:
    """The current ledger of a scope.

    Raises:
        NotFoundError: the scope has none yet.
    """
    ledger_id = head_id(con, scope_kind, scope)
    found = find_ledger(con, ledger_id) if ledger_id else None
    if found is None:
        asset = "selection_ledger" if scope_kind == "source" else "pooled_ledger"
        raise NotFoundError(
            f"{scope_kind} {scope!r} has no ledger yet.", cure=f"Materialise {asset} for it, or run `curate`."
        )
    return found


@dataclass(frozen=True)
class VisitedRows:
    """What a stored pass decided, as columns in rank order."""

    sample_ids: list[str]
    kept_position: list[int | None]
    blocked_by: list[str | None]
    similarity: list[float | None]
    evol_score: list[float]
    over_quota: list[bool]

    def __len__(self) -> int:
        """Number of rows visited."""
        return len(self.sample_ids)


def visited_rows(con: duckdb.DuckDBPyConnection, ledger_id: str) -> VisitedRows:
    """The rows that the pass of a ledger decided."""
    rows = con.execute(
        "select sample_id, kept_position, blocked_by, similarity, evol_score, verdict = 'over_quota' "
        "from store.ledger_row where ledger_id = ? and verdict in ('kept', 'near_duplicate', 'over_quota') "
        "order by rank",
        [ledger_id],
    ).fetchall()
    return VisitedRows(*([list(column) for column in zip(*rows, strict=True)] if rows else [[]] * 6))


def prune_ledgers(con: duckdb.DuckDBPyConnection, scope: Scope, keep: int, *, besides: str = "") -> list[str]:
    """Let go of the rows of old ledgers; their specs stay. Returns their ids.

    Heads and ledgers under a current selection are kept, the newest `keep` of the scope, and the one named `besides`.
    """
    found = con.execute(
        statement("selection/prune_ledgers"),
        {"scope_kind": scope.kind, "scope": scope.name, "keep": keep, "besides": besides},
    ).fetchall()
    ids = [ledger_id for (ledger_id,) in found]
    con.execute("delete from store.ledger_row where ledger_id in (select unnest(?))", [ids])
    con.execute(
        "update store.ledger set pruned_at = ? where ledger_id in (select unnest(?))",
        [dt.datetime.now(dt.UTC), ids],
    )
    return ids


def verdict_counts(
    con: duckdb.DuckDBPyConnection, ledger_id: str, budget: int | None = None
) -> dict[str, int]:
    """Rows by verdict, at one budget or without one."""
    cut = 2**62 if budget is None else budget
    rows = con.execute(
        "select verdict, count(*) from ledger_at(?, ?) group by 1 order by 2 desc, 1", [ledger_id, cut]
    ).fetchall()
    return {str(verdict): int(count) for verdict, count in rows}
