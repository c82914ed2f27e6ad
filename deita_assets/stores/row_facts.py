"""What row filters read of a pool: counts and labels at once, conversations in batches, languages once recognised.

What belongs here: statements. What does not: the rules, conditions in SQL (row_condition) and recognising languages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from deita_assets.errors import NotFoundError
from deita_assets.stores.sql import statement
from deita_assets.stores.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb

#: Conversations in memory at once: so many, or so many characters of them.
BATCH_ROWS = 4_096
BATCH_CHARS = 16_000_000


def row_facts(con: duckdb.DuckDBPyConnection, sources: Sequence[str]) -> pa.Table:
    """(sample_id, content_sha256, n_chars, n_turns, language, licence, place) of every pool row of `sources`.

    In order of `place`, which is where its conversation stands in its table.
    """
    query = statement("selection/filter_facts")
    return con.sql(query, params={"sources": list(sources)}).to_arrow_table()


def conversation_batches(warehouse: Warehouse, rows: pa.Table) -> Iterator[list[tuple[str, str]]]:
    """(sample_id, canonical conversation) of `rows`, batch by batch; no connection is open while one is used.

    Conversations never change, so it makes no difference when a batch is read.

    Args:
        warehouse: where they are.
        rows: out of `row_facts`, some or all of its rows, in its order.

    Raises:
        NotFoundError: a conversation is no longer there.
    """
    for part in _batches(rows):
        with warehouse.read("conversations to look at") as con:
            con.register("wanted_now", part.select(["sample_id"]))
            found = _read(con, part["place"][0].as_py(), part["place"][-1].as_py())
            if len(found) < part.num_rows:  # the table was written anew since: places are others
                found = _read(con, 0, 2**62)
        if len(found) < part.num_rows:
            raise NotFoundError(
                f"{part.num_rows - len(found)} conversations left the warehouse while they were read.",
                cure="Run it again.",
            )
        yield found


def known_languages(
    con: duckdb.DuckDBPyConnection, contents: Sequence[str], detector: str
) -> dict[str, str | None]:
    """content_sha256 -> language of those `contents` that a detector has seen, None where it recognised nothing."""
    con.register("wanted_now", pa.table({"content_sha256": pa.array(contents, pa.string())}))
    return dict(con.execute(statement("selection/filter_languages"), {"detector": detector}).fetchall())


def save_languages(
    con: duckdb.DuckDBPyConnection, detector: str, languages: Mapping[str, str | None]
) -> None:
    """Record what a detector recognised; what is there already stays."""
    rows = {
        "content_sha256": pa.array(languages.keys(), pa.string()),
        "language": pa.array(languages.values(), pa.string()),
    }
    con.register("languages_now", pa.table(rows))
    con.execute(statement("selection/filter_insert_language"), {"detector": detector})
    con.unregister("languages_now")


def _read(con: duckdb.DuckDBPyConnection, first: int, last: int) -> list[tuple[str, str]]:
    query = statement("selection/filter_conversations")
    return con.execute(query, {"first": first, "last": last}).fetchall()


def _batches(rows: pa.Table) -> Iterator[pa.Table]:
    start = weight = 0
    for at, n_chars in enumerate(rows["n_chars"].to_pylist()):
        if at > start and (at - start >= BATCH_ROWS or weight + n_chars > BATCH_CHARS):
            yield rows.slice(start, at - start)
            start, weight = at, 0
        weight += n_chars
    if start < rows.num_rows:
        yield rows.slice(start)
