"""What stands in exclusion sets, and under which version of their pool.

What belongs here: statements. What does not: deciding what is contaminated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from deita_assets.errors import NotFoundError
from deita_assets.stores import pool
from deita_assets.stores.sql import statement

if TYPE_CHECKING:
    import duckdb


def versions(con: duckdb.DuckDBPyConnection, sets: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(source, pool_version) of each exclusion set as it stands now, each once, in name order.

    Raises:
        NotFoundError: one was never ingested.
    """
    unknown = sorted(set(sets) - set(pool.sources(con)))
    if unknown:
        raise NotFoundError(
            f"exclusion set {', '.join(repr(name) for name in unknown)} was never read.",
            cure=f"Run `deita-assets add {unknown[0]} FILE`, or take it out of `exclusion_sets` in deita.toml.",
        )
    return tuple((name, pool.pool_version(con, name)[0]) for name in sorted(set(sets)))


def instructions(con: duckdb.DuckDBPyConnection, sets: Sequence[str]) -> list[tuple[str, list[str]]]:
    """(sample_id, its instructions) of every row of some sets, in the order of the sets and then of ids."""
    return con.execute(statement("selection/exclusion_instructions"), {"sources": list(sets)}).fetchall()


def contents(con: duckdb.DuckDBPyConnection, sources: Sequence[str]) -> list[tuple[str, str]]:
    """(sample_id, content_sha256) of every row of some sources, in their order and then of ids."""
    return con.execute(statement("selection/exclusion_rows"), {"sources": list(sources)}).fetchall()
