"""What the page of a raw pool is made of in the warehouse.

What belongs here: statements. What does not: how their answers are shown (defs).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from deita_assets.stores.sql import first, statement

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class QuarantinedReason:
    """Rows that could not be read for one reason.

    Attributes:
        reason: code of `core.reasons`.
        rows: how many.
        examples: (file, 1-based line) of some of them, in order of both.
    """

    reason: str
    rows: int
    examples: tuple[tuple[str, int], ...]


def quarantined(con: duckdb.DuckDBPyConnection, source: str, examples: int) -> list[QuarantinedReason]:
    """Reasons for quarantine of a source now, most rows first, with at most so many examples of each."""
    rows = con.execute(statement("pool/quarantined"), {"source": source, "examples": examples}).fetchall()
    return [
        QuarantinedReason(reason, n_rows, tuple((one["file"], one["line"]) for one in found))
        for reason, n_rows, found in rows
    ]


def mean_size(con: duckdb.DuckDBPyConnection, source: str) -> tuple[float | None, float | None]:
    """(turns, characters) of a row of a source's pool in the mean; (None, None) for an empty one."""
    row = first(
        con.execute(
            "select avg(n_turns), avg(n_chars) from store.conversation where source = ? and in_pool", [source]
        )
    )
    return (row[0], row[1]) if row else (None, None)


def rows_parsed(con: duckdb.DuckDBPyConnection, source: str, seq: int) -> int:
    """Rows of the files that ingest number `seq` of a source has read."""
    query = "select coalesce(sum(n_read), 0)::bigint from store.file where source = ? and from_seq = ?"
    row = first(con.execute(query, [source, seq]))
    return int(row[0]) if row else 0
