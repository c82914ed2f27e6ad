"""Queries that several commands ask of the published catalog.

What belongs here: finding scopes and versions by what people type. What does not: finding rows (find_row), or printing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deita_assets.cli.session import dictionaries
from deita_assets.core.names import SHORTEST_PREFIX
from deita_assets.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    import duckdb


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
