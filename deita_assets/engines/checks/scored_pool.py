"""Checks of `scored_pool`: every mirrored score beside its original, and a sample of sums made again.

What belongs here: reading. What does not: the rules (core.checks.scored_rules).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deita_assets.core.checks import scored_rules
from deita_assets.core.checks.finding import MOST_EXAMPLES, Finding
from deita_assets.core.checks.scored_rules import Mirror, ScoredRow
from deita_assets.stores import scored
from deita_assets.stores.pool import pool_version
from deita_assets.stores.sql import first, statement
from deita_assets.stores.vectors import ScoreTable
from deita_assets.stores.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb

#: Rows whose evol_score is recomputed: 30 ms of them. Which ones, the pool version says.
SAMPLE_ROWS = 2_000
_MEASURES = ("complexity", "quality")


def check_scored_pool(warehouse: Warehouse, source: str, aggregation: str) -> list[Finding]:
    """Findings about the scored pool of one source; `aggregation` as settings have it.

    Raises:
        NotFoundError: a measure was never computed for the source, so that it can have none.
    """
    with warehouse.read(f"checks of the scored pool of {source}: scorers") as con:
        for measure in _MEASURES:
            scored.coverage(con, source, measure)
        scorers = _facts(con, source)[1:3]
    results = _results(warehouse, scorers)
    with warehouse.read(f"checks of the scored pool of {source}") as con:
        mirror = _mirror(con, source, results)
        wanted = {"source": source, "n": SAMPLE_ROWS}
        rows = con.execute(statement("checks/scored_sample"), wanted).fetchall()
    return [
        scored_rules.stores_agree(mirror),
        scored_rules.evol_scores(source, [ScoredRow(*row) for row in rows], aggregation),
    ]


def _results(warehouse: Warehouse, scorers: tuple[Any, ...]) -> dict[str, Any]:
    """Stored results by measure under the scorers of the scored pool; none where it is empty."""
    if None in scorers:
        return {}
    table = ScoreTable(warehouse.home)
    return {
        measure: table.results(measure, scorer) for measure, scorer in zip(_MEASURES, scorers, strict=True)
    }


def _mirror(con: duckdb.DuckDBPyConnection, source: str, results: dict[str, Any]) -> Mirror:
    version, _, _, n_scored, n_pool, n_mirrored = _facts(con, source)
    unlike = con.execute(statement("checks/scored_unlike"), {"source": source}).fetchall()
    n_results, different = 0, []
    if results:
        for measure, found in results.items():
            con.register(f"results_{measure}", found)
        con.execute(statement("checks/mirror_expected"), {"source": source})
        (n_results,) = first(con.execute("select count(*) from expected_turn")) or (0,)
        different = con.execute(statement("checks/mirror_different"), {"source": source}).fetchall()
        for measure in results:
            con.unregister(f"results_{measure}")
    return Mirror(
        source, version, pool_version(con, source)[0], n_scored, n_pool, n_results, n_mirrored,
        n_different=sum(count for _, count in different),
        different=tuple(sample_id for sample_id, _ in different[:MOST_EXAMPLES]),
        unlike=tuple(sample_id for (sample_id,) in unlike),
    )  # fmt: skip


def _facts(con: duckdb.DuckDBPyConnection, source: str) -> tuple[Any, ...]:
    return first(con.execute(statement("checks/scored_facts"), {"source": source})) or ()
