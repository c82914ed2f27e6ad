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


def find_row(con: duckdb.DuckDBPyConnection, text: str) -> tuple[str, list[str]]:
    """The pool row that `text` names, and other rows that hold it when it is a phrase.

    Tried in this order: a sample id, the row's own id, 6 or more characters of a sample id (with or without its
    source), a phrase in an instruction or response.

    Raises:
        NotFoundError: nothing matches.
        UsageError: an id or prefix that more than one row bears.
    """
    if not text.strip():
        raise UsageError("nothing to explain.", cure="Give an id, 6 or more of its characters, or a phrase.")
    for what, query, uses in _BY_ID:
        if what == "prefix" and (len(text) < SHORTEST_PREFIX or " " in text):
            continue
        found = [str(row[0]) for row in con.execute(query, [text] * uses).fetchall()]
        if len(found) > 1:
            shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
            raise UsageError(
                f"{what} {text!r} fits {len(found)} rows or more: {shown}.", cure="Give more of it."
            )
        if found:
            return found[0], []
    found = [str(row[0]) for row in con.execute(_BY_PHRASE, [text, text]).fetchall()]
    if not found:
        raise NotFoundError(
            f"no row with id or text {text[:60]!r}.",
            cure="Give an id, 6 or more of its characters, or a phrase.",
        )
    return found[0], found[1:]


_BY_ID = (
    ("id", "select sample_id from pool where sample_id = ?", 1),
    ("own id", "select sample_id from pool where own_id = ? order by 1 limit 10", 1),
    (
        "prefix",
        "select sample_id from pool where starts_with(sample_id, ?) or "
        "starts_with(split_part(sample_id, ':', 2), ?) order by 1 limit 10",
        2,
    ),
)
#: Rows of an exclusion set, which stand in no ledger, come last: the row that repeats a question is meant.
_BY_PHRASE = (
    "select distinct sample_id, sample_id in (select l.sample_id from ledger l) as has_verdict from turns "
    "where contains(instruction, ?) or contains(response, ?) order by has_verdict desc, sample_id limit 10"
)
