"""What the page of a ledger says beyond its counts: other thresholds, budgets, and the pairs near its threshold.

What belongs here: computing it, in well under half a second for any pool. What does not: showing it (defs), or the
calibration that people ask for (calibrate).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.calibration import CurvePoint, Pair, curve_of, side_by_side, threshold_grid
from deita_assets.core.threshold_walk import walk_thresholds
from deita_assets.core.verdicts import KEPT, NEAR_DUPLICATE
from deita_assets.embedders.text import conversation_text
from deita_assets.engines.cpu_kernel import CpuKernel
from deita_assets.stores import calibrations, ledger_facts
from deita_assets.stores.ledger_facts import BudgetPoint
from deita_assets.stores.ledgers import StoredLedger
from deita_assets.stores.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb

#: Pairs shown on either side of the threshold, and characters shown of each row.
PAIRS = 5
SHOWN_CHARS = 160


@dataclass(frozen=True)
class ThresholdCurve:
    """What other thresholds would keep of the best rows of a ledger.

    Attributes:
        points: rows kept at each threshold, ascending.
        visited: rows compared.
        calibration_id: the stored calibration that it is taken from, if it is.
    """

    points: tuple[CurvePoint, ...]
    visited: int
    calibration_id: str | None = None


@dataclass(frozen=True)
class BudgetReach:
    """How far budgets reach into the rows of a ledger.

    Attributes:
        scores: (n,) evol_score by rank.
        points: where the ledger stands at each budget that it serves, ascending.
    """

    scores: NDArray[np.float64]
    points: tuple[BudgetPoint, ...]


@dataclass(frozen=True)
class LedgerPage:
    """What stands in the store about a ledger, for its page.

    Attributes:
        reach: how far budgets reach.
        near_duplicates: dropped rows that came nearest to staying: (similarity, row, row that blocked it).
        near_misses: kept rows that came nearest to being dropped: (similarity, row, nearest row kept before).
        calibrated: the curve of a stored calibration of the same pool, if there is one.
    """

    reach: BudgetReach
    near_duplicates: tuple[tuple[float, str, str], ...]
    near_misses: tuple[tuple[float, str, str], ...]
    calibrated: ThresholdCurve | None


def ledger_page(
    warehouse: Warehouse, ledger: StoredLedger, budgets: Sequence[int], *, show_rows: bool
) -> LedgerPage:
    """Read what the page of a ledger shows.

    Args:
        warehouse: of the home.
        ledger: whose page.
        budgets: to be looked up.
        show_rows: rows by their words; otherwise by their ids.
    """
    with warehouse.read(f"ledger {ledger.ledger_id}: page") as con:
        pairs = {
            verdict: ledger_facts.closest_pairs(con, ledger.ledger_id, verdict, PAIRS)
            for verdict in (NEAR_DUPLICATE, KEPT)
        }
        ids = sorted(
            {name for found in pairs.values() for pair in found for name in (pair.sample_id, pair.nearest)}
        )
        texts = (
            {name: conversation_text(one) for name, one in calibrations.conversations(con, ids).items()}
            if show_rows
            else {}
        )
        found = (
            calibrations.newest_calibration(con, ledger.scope, ledger.spec)
            if ledger.threshold is not None
            else None
        )
        return LedgerPage(
            reach=budget_reach(con, ledger, budgets),
            near_duplicates=tuple(_shown(pair, texts) for pair in pairs[NEAR_DUPLICATE]),
            near_misses=tuple(_shown(pair, texts) for pair in pairs[KEPT]),
            calibrated=ThresholdCurve(found.curve, found.visited, found.calibration_id) if found else None,
        )


def budget_reach(con: duckdb.DuckDBPyConnection, ledger: StoredLedger, budgets: Sequence[int]) -> BudgetReach:
    """How far these budgets reach; those are left out that the ledger would have to be deeper for."""
    served = [budget for budget in budgets if ledger.serves(budget)]
    return BudgetReach(
        ledger_facts.scores_by_rank(con, ledger.ledger_id),
        tuple(ledger_facts.budget_points(con, ledger.ledger_id, served)),
    )


def curve_over(vectors: NDArray[np.float16], threshold: float) -> ThresholdCurve:
    """What each threshold keeps of these rows (n, dimension), best first; exact, as in a calibration."""
    walk = walk_thresholds(
        _Rows(vectors), np.arange(len(vectors)), threshold_grid(threshold), CpuKernel(), pairs_per_band=0
    )
    return ThresholdCurve(curve_of(walk), len(vectors))


class _Rows:
    """Vectors in memory; `VectorSource` of a walk."""

    def __init__(self, vectors: NDArray[np.float16]) -> None:
        self.vectors = vectors
        self.dimension = int(vectors.shape[1])

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """Vectors of these rows."""
        return self.vectors[rows]


def _shown(pair: Pair, texts: dict[str, str]) -> tuple[float, str, str]:
    """A pair by the words that differ, or by ids where words are not to be shown."""
    one, other = texts.get(pair.sample_id), texts.get(pair.nearest)
    if one is None or other is None:
        return pair.similarity, pair.sample_id, pair.nearest
    return pair.similarity, *side_by_side(one, other, SHOWN_CHARS)
