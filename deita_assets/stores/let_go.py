"""Ledgers whose rows go because they are wrong, not because they are old; their specs stay, and they are made again.

What belongs here: which ledgers, and what of them is to be made again. What does not: which results are refused
(engines.mend), or letting old ledgers go (ledgers.prune_ledgers).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deita_assets.stores import ledgers, selections
from deita_assets.stores.sql import first, statement

if TYPE_CHECKING:
    import duckdb


def ledgers_of(con: duckdb.DuckDBPyConnection, role: str, fingerprint: str, keys: Sequence[str]) -> list[str]:
    """Let the rows of every ledger go that read one of these results; returns their ids.

    What a ledger was made of is not in its rows, and its id says nothing of results: one that stands is taken as it is.
    Versions that were cut out of them stay, marked as no lasting ones, and stand in the way of none that is cut next.

    Args:
        con: the warehouse, to be written to.
        role: `complexity`, `quality` or `embedder`.
        fingerprint: of the scorer or embedder.
        keys: prompts or contents of the results.
    """
    con.register("keys_now", pa.table({"key": pa.array(list(keys), pa.string())}))
    concerned = {str(source) for (source,) in con.execute(statement("checks/pools_of_keys")).fetchall()}
    con.unregister("keys_now")
    rows = con.execute("select ledger_id, spec from store.ledger where pruned_at is null").fetchall()
    specs = {str(ledger_id): json.loads(spec) for ledger_id, spec in rows}
    ids = sorted(
        ledger_id
        for ledger_id, spec in specs.items()
        if spec["fingerprints"].get(role) == fingerprint and _read_by(con, spec) & concerned
    )
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


def ledger_is_gone(con: duckdb.DuckDBPyConnection, scope_kind: str, scope: str) -> bool:
    """True when the current ledger of a scope has only its spec left: it is made again although nothing changed."""
    ledger_id = ledgers.head_id(con, scope_kind, scope)
    found = ledgers.find_ledger(con, ledger_id) if ledger_id else None
    return found is not None and found.pruned


def version_is_doubtful(con: duckdb.DuckDBPyConnection, scope_kind: str, scope: str, budget: int) -> bool:
    """True when the current version of a scope and budget was cut out of a ledger that was let go as wrong."""
    row = first(
        con.execute(
            "select s.trial from store.selection s join store.selection_head h "
            "on h.selection_version = s.selection_version "
            "where h.scope_kind = ? and h.scope = ? and h.budget = ?",
            [scope_kind, scope, budget],
        )
    )
    return bool(row and row[0])
