"""Ledgers whose rows go because they are wrong, not because they are old; their specs stay, and they are made again.

What belongs here: which ledgers, and the mark that says so without DuckDB. What does not: which results are refused
(engines.mend, engines.verify_repair), or letting old ledgers go (ledgers.prune_ledgers).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deita_assets.stores import marks, selections
from deita_assets.stores.home import Home
from deita_assets.stores.sql import statement

if TYPE_CHECKING:
    import duckdb


def marked(home: Home) -> dict[str, str]:
    """Scope, as `source:NAME` or `mixture:NAME` -> when a ledger of it was last let go; empty without any."""
    return marks.read(home.let_go)


def ledgers_of(
    con: duckdb.DuckDBPyConnection, home: Home, role: str, fingerprint: str, keys: Sequence[str]
) -> list[str]:
    """Let the rows of every ledger go that read one of these results; returns their ids.

    Args:
        con: the warehouse, to be written to.
        home: whose warehouse it is.
        role: `complexity`, `quality` or `embedder`.
        fingerprint: of the scorer or embedder, or its first characters.
        keys: prompts or contents of the results.
    """
    con.register("keys_now", pa.table({"key": pa.array(list(keys), pa.string())}))
    concerned = {str(source) for (source,) in con.execute(statement("checks/pools_of_keys")).fetchall()}
    con.unregister("keys_now")
    return ledgers_over(con, home, role, fingerprint, concerned)


def ledgers_over(
    con: duckdb.DuckDBPyConnection, home: Home, role: str, fingerprint: str, sources: Set[str]
) -> list[str]:
    """Let the rows of every ledger go that read such results of one of these sources; returns their ids.

    What a ledger was made of is not in its rows, and its id says nothing of results: one that stands is taken as it is.
    So its scope is marked, and then stale. Versions that were cut out of it stay, as trials do: nothing refers to them
    as current once another is cut, and they stand in the way of none.
    """
    rows = con.execute(
        "select ledger_id, scope_kind || ':' || scope, spec from store.ledger where pruned_at is null"
    ).fetchall()
    scopes = {
        str(ledger_id): str(scope)
        for ledger_id, scope, spec in ((one, scope, json.loads(text)) for one, scope, text in rows)
        if str(spec["fingerprints"].get(role)).startswith(fingerprint) and _read_by(con, spec) & sources
    }
    if scopes:  # before the commit: a mark too many costs a pass, one too few leaves what is wrong
        marks.add(home.let_go, scopes.values(), dt.datetime.now(dt.UTC))
    ids = sorted(scopes)
    rows_of(con, ids)
    con.execute(
        "update store.selection set trial = true where ledger_id in (select unnest($ids))", {"ids": ids}
    )
    return ids


def rows_of(con: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> None:
    """Let the rows of these ledgers go."""
    con.execute("delete from store.ledger_row where ledger_id in (select unnest($ids))", {"ids": list(ids)})
    con.execute(
        "update store.ledger set pruned_at = $now where ledger_id in (select unnest($ids))",
        {"now": dt.datetime.now(dt.UTC), "ids": list(ids)},
    )


def _read_by(con: duckdb.DuckDBPyConnection, spec: Mapping[str, Any]) -> set[str]:
    """Sources whose results a ledger read: its own, those of its frozen bases, and exclusion sets."""
    sets = spec.get("exclusion_sets") or {}
    return {*selections.pinned_sources(con, spec), *(source for source, _ in sets.get("sets", ()))}
