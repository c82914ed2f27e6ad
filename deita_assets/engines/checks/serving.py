"""Checks of `serving_catalog`: the published copy beside the warehouse that it was copied from.

What belongs here: reading. What does not: the rule (core.checks.subset_rules).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deita_assets.core.checks.finding import Finding
from deita_assets.core.checks.subset_rules import PublishedCounts, catalog_agrees
from deita_assets.stores.home import Home
from deita_assets.stores.serving import open_serving
from deita_assets.stores.sql import statement
from deita_assets.stores.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb


def check_serving(warehouse: Warehouse) -> list[Finding]:
    """Findings about the published copy.

    Raises:
        NotFoundError: nothing was published yet.
    """
    home = warehouse.home
    with warehouse.read("checks of the published copy") as con:  # nobody writes or publishes meanwhile
        counted = _counts(con)
        with open_serving(home) as published:
            serving = _counts(published)
        moved_on = _written_since(home)
    return [catalog_agrees(PublishedCounts(counted, serving, moved_on))]


def _counts(con: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Rows of each table of schema store; DuckDB knows them without reading any."""
    names = [str(name) for (name,) in con.execute(statement("checks/table_names")).fetchall()]
    return {
        name: int(con.execute(f'select count(*) from store."{name}"').fetchall()[0][0])  # noqa: S608 - its own name
        for name in names
    }


def _written_since(home: Home) -> bool:
    """True when the warehouse was written to after it was copied: the copy is made last, its file is the newer one."""
    log = home.warehouse.with_name(home.warehouse.name + ".wal")
    written = max(path.stat().st_mtime_ns for path in (home.warehouse, log) if path.exists())
    return written > home.serving.stat().st_mtime_ns
