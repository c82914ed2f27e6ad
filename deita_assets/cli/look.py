"""Queries that several commands ask of the published catalog.

What belongs here: finding scopes, rows and versions by what people type. What does not: printing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deita_assets.cli.session import dictionaries
from deita_assets.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    import duckdb

#: Fewer characters of an id are more likely a typing slip than meant.
SHORTEST_PREFIX = 6


def scope_kind(con: duckdb.DuckDBPyConnection, scope: str) -> str:
    """`source` or `mixture`, by what has a ledger of that name.

    Raises:
        NotFoundError: no ledger of that name.
    """
    rows = con.execute("select distinct scope_kind, scope from ledger order by 1, 2").fetchall()
    for kind, name in rows:
        if name == scope:
            return str(kind)
    known = ", ".join(f"{name} ({kind})" for kind, name in rows) or "none"
    raise NotFoundError(
        f"no ledger of {scope!r}; known: {known}.", cure=f"Run `deita-assets curate` for {scope}."
    )


def find_version(con: duckdb.DuckDBPyConnection, prefix: str) -> dict[str, Any]:
    """The selection whose version starts with `prefix`.

    Raises:
        NotFoundError: none does. UsageError: the prefix is too short or not unique.
    """
    if len(prefix) < SHORTEST_PREFIX:
        raise UsageError(f"version {prefix!r}: give {SHORTEST_PREFIX} characters or more.")
    rows = dictionaries(con, "select * from selections where starts_with(selection_version, ?)", [prefix])
    versions = {row["selection_version"] for row in rows}
    if not rows:
        raise NotFoundError(f"no selection version {prefix!r}.", cure="See `deita-assets selections`.")
    if len(versions) > 1:
        raise UsageError(
            f"{prefix!r} is the start of {len(versions)} versions.", cure="Give more characters."
        )
    return rows[0]


def find_rows(con: duckdb.DuckDBPyConnection, text: str, limit: int = 10) -> list[dict[str, Any]]:
    """Pool rows by sample id, by its prefix with or without source, by own id, or by a phrase in them.

    Raises:
        NotFoundError: nothing matches.
    """
    queries = [
        (
            "select sample_id from pool where sample_id = ? or own_id = ? order by 1 limit ?",
            [text, text, limit],
        )
    ]
    if len(text) >= SHORTEST_PREFIX and " " not in text:
        queries.append(
            (
                "select sample_id from pool where starts_with(sample_id, ?) or "
                "starts_with(split_part(sample_id, ':', 2), ?) order by 1 limit ?",
                [text, text, limit],
            )
        )
    queries.append(
        (
            "select distinct sample_id from turns where contains(instruction, ?) or contains(response, ?) "
            "order by 1 limit ?",
            [text, text, limit],
        )
    )
    for query, parameters in queries:
        if rows := dictionaries(con, query, parameters):
            return rows
    raise NotFoundError(
        f"no row with id or text {text[:60]!r}.", cure="Give an id, 6 or more of its characters, or a phrase."
    )
