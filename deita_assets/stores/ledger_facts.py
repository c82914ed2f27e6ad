"""What the pages of ledgers and subsets are made of in the warehouse.

What belongs here: statements. What does not: what is made of their answers (engines), or how it is shown (defs).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.calibration import Pair
from deita_assets.stores.sql import statement

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class BudgetPoint:
    """Where a ledger stands once it has kept as many rows as a budget asks for.

    Attributes:
        budget: rows asked for.
        rows: rows kept; fewer where the ledger holds no more.
        rank: greatest rank among them, 1-based.
        lowest_evol_score: the smallest among them.
        near_duplicates: rows dropped as near-duplicates up to that rank.
    """

    budget: int
    rows: int
    rank: int
    lowest_evol_score: float
    near_duplicates: int


def scores_by_rank(con: duckdb.DuckDBPyConnection, ledger_id: str) -> NDArray[np.float64]:
    """(n,) evol_score of the rows of a ledger that have a rank, best first."""
    found = con.execute(statement("selection/scores_by_rank"), {"ledger_id": ledger_id}).fetchnumpy()
    return np.ma.filled(np.ma.asarray(found["evol_score"], dtype=np.float64), np.nan)


def budget_points(
    con: duckdb.DuckDBPyConnection, ledger_id: str, budgets: Sequence[int]
) -> list[BudgetPoint]:
    """One point for each budget that leaves a row, ascending."""
    parameters = {"ledger_id": ledger_id, "budgets": sorted(set(budgets))}
    rows = con.execute(statement("selection/budget_points"), parameters).fetchall()
    return [BudgetPoint(*row) for row in rows]


def rows_by_source(con: duckdb.DuckDBPyConnection, ledger_id: str) -> dict[str, int]:
    """Rows of a ledger by source, most first."""
    rows = con.execute(
        "select split_part(sample_id, ':', 1), count(*) from store.ledger_row where ledger_id = ? "
        "group by 1 order by 2 desc, 1",
        [ledger_id],
    ).fetchall()
    return {str(source): int(n_rows) for source, n_rows in rows}


def closest_pairs(con: duckdb.DuckDBPyConnection, ledger_id: str, verdict: str, limit: int) -> list[Pair]:
    """Rows with this verdict whose similarity is closest to the threshold, each with its nearest row kept before it.

    Rows that were taken down, or whose nearest row was, are left out.
    """
    parameters = {"ledger_id": ledger_id, "verdict": verdict, "limit": limit}
    return [Pair(*row) for row in con.execute(statement("selection/closest_pairs"), parameters).fetchall()]
