"""Checks of `raw_pool`: the account of a source made again from its tables, not from what its ingest reported.

What belongs here: reading. What does not: the rules (core.checks.pool_rules).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from deita_assets.core.checks import pool_rules
from deita_assets.core.checks.finding import Finding
from deita_assets.core.checks.pool_rules import PoolAccount, PoolKeys
from deita_assets.stores.pool import known_source
from deita_assets.stores.sql import first, statement
from deita_assets.stores.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb


def check_pool(warehouse: Warehouse, source: str) -> list[Finding]:
    """Findings about the pool of one source."""
    with warehouse.read(f"checks of the pool of {source}") as con:
        doubled = con.execute(statement("checks/pool_doubled"), {"source": source}).fetchall()
        keys = PoolKeys(*_one(con, "pool_keys", source))
        keys = replace(keys, doubled=tuple(sample_id for (sample_id,) in doubled))
        astray = con.execute(statement("checks/pool_lost"), {"source": source}).fetchall()
        lost = tuple(sample_id for sample_id, is_lost in astray if is_lost)
        invented = tuple(sample_id for sample_id, is_lost in astray if not is_lost)
        account = replace(PoolAccount(*_one(con, "pool_account", source)), lost=lost, invented=invented)
        _, _, licence = known_source(con, source)
    return [
        pool_rules.unique_keys(source, keys),
        pool_rules.row_accounting(source, account),
        pool_rules.licence_present(source, [] if licence else [source], 1),
    ]


def _one(con: duckdb.DuckDBPyConnection, name: str, source: str) -> tuple[Any, ...]:
    return first(con.execute(statement(f"checks/{name}"), {"source": source})) or ()
