"""Calibrations in the warehouse, and what they are made of there.

A stored result names rows by id and holds none of their text, so that a take-down reaches everything.

What belongs here: statements. What does not: calibrating (engines.calibrate).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deita_assets.core.calibration import Calibration
from deita_assets.core.conversation import Conversation
from deita_assets.core.drop_rate import NEAR, Drops
from deita_assets.core.fingerprint import canonical_json
from deita_assets.stores.ledgers import Scope
from deita_assets.stores.sql import first, statement

if TYPE_CHECKING:
    import duckdb


def find_calibration(con: duckdb.DuckDBPyConnection, calibration_id: str) -> Calibration | None:
    """A stored result by its id, or None."""
    row = first(
        con.execute("select result from store.calibration where calibration_id = ?", [calibration_id])
    )
    return Calibration.of_values(json.loads(row[0])) if row else None


def newest_calibration(
    con: duckdb.DuckDBPyConnection, scope: Scope, spec: Mapping[str, Any]
) -> Calibration | None:
    """The newest calibration of a scope over the same pools and embedder as a ledger's spec, or None."""
    row = first(
        con.execute(
            statement("selection/card_calibration"),
            {
                "scope_kind": scope.kind, "scope": scope.name,
                "sources": canonical_json(spec["sources"]), "embedder": spec["fingerprints"]["embedder"],
            },
        )
    )  # fmt: skip
    return Calibration.of_values(json.loads(row[0])) if row else None


def save_calibration(
    con: duckdb.DuckDBPyConnection, calibration: Calibration, spec: Mapping[str, Any]
) -> None:
    """Store a result with the spec whose digest is its id; the first one stays."""
    con.execute(
        "insert or ignore into store.calibration values (?, ?, ?, ?, ?, ?)",
        [
            calibration.calibration_id, calibration.scope_kind, calibration.scope, canonical_json(dict(spec)),
            canonical_json(calibration.values()), dt.datetime.now(dt.UTC),
        ],
    )  # fmt: skip


def conversations(con: duckdb.DuckDBPyConnection, sample_ids: Sequence[str]) -> dict[str, Conversation]:
    """The conversations of these rows; rows that were taken down are missing."""
    rows = con.execute(statement("selection/calibration_texts"), {"ids": list(sample_ids)}).fetchall()
    return {str(sample_id): Conversation.from_canonical(text) for sample_id, text in rows}


def drops(con: duckdb.DuckDBPyConnection, ledger_id: str, threshold: float) -> Drops:
    """What a ledger did with the rows it compared."""
    parameters = {"ledger_id": ledger_id, "threshold": threshold, "near": NEAR}
    row = first(con.execute(statement("selection/calibration_drops"), parameters))
    return Drops(*row) if row else Drops(0, 0, 0)
