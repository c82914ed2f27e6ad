"""Rows that stay out of every future pool: finding, recording and marking them.

A take-down is about content. It is recorded for each row of that content, in the pool or formerly in one, with the
`seq` of its source from which the row is out; texts stay in the store, so that past versions can be made again.

What belongs here: statements about take-downs, and the mark that tells of them without DuckDB. What does not: the
order of the steps (engines.takedown).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from deita_assets.stores import marks
from deita_assets.stores.home import Home
from deita_assets.stores.sql import statement

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class KnownRow:
    """A row that the store knows, whether it is in the pool now or not.

    Attributes:
        taken_at: when it was taken down; None while it was not.
        instruction: its first one, whole.
    """

    sample_id: str
    source: str
    content_sha256: str
    in_pool: bool
    taken_at: dt.datetime | None
    reason: str | None
    instruction: str


@dataclass(frozen=True)
class HoldingVersion:
    """A selection version that holds some of the rows asked about."""

    selection_version: str
    scope_kind: str
    scope: str
    budget: int
    is_head: bool
    trial: bool
    directory: str
    n_rows: int
    sample_ids: list[str]


def contents_of_prefix(con: duckdb.DuckDBPyConnection, prefix: str) -> list[str]:
    """content_sha256 of the rows whose id starts so, with or without their source; ten at most."""
    rows = con.execute(statement("pool/contents_of_prefix"), {"prefix": prefix}).fetchall()
    return [str(content) for (content,) in rows]


def rows_of_contents(con: duckdb.DuckDBPyConnection, contents: Sequence[str]) -> list[KnownRow]:
    """Every row of these contents, in any source."""
    found = con.execute(statement("pool/rows_of_contents"), {"contents": list(contents)}).fetchall()
    return [KnownRow(*row) for row in found]


def versions_holding(con: duckdb.DuckDBPyConnection, sample_ids: Iterable[str]) -> list[HoldingVersion]:
    """Selection versions with any of these rows: current ones first, then the newest."""
    con.register("rows_now", pa.table({"sample_id": pa.array(list(sample_ids), pa.string())}))
    found = con.execute(statement("pool/versions_holding")).fetchall()
    con.unregister("rows_now")
    return [HoldingVersion(*row) for row in found]


def save_takedown(
    con: duckdb.DuckDBPyConnection, sample_ids: Iterable[str], reason: str, taken_at: dt.datetime, seq: int
) -> None:
    """Record that rows of one source are out from its `seq` on."""
    for sample_id in sample_ids:
        con.execute("insert into store.takedown values (?, ?, ?, ?)", [sample_id, reason, taken_at, seq])


def marked(home: Home) -> dict[str, str]:
    """Source -> when rows of it were last taken down, for whom the store is out of reach; empty without any."""
    return marks.read(home.takedowns)


def mark(home: Home, sources: Iterable[str], taken_at: dt.datetime) -> None:
    """Mark sources; called under the warehouse's lock (`marks.add`)."""
    marks.add(home.takedowns, sources, taken_at)
