"""What the card of a subset is made of in the warehouse.

What belongs here: statements. What does not: what is made of their answers (engines.subset_contents), or Markdown
(exports).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.calibration import Calibration, NearPair
from deita_assets.stores.calibrations import newest_calibration
from deita_assets.stores.selections import Selection
from deita_assets.stores.sql import statement

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class ScoreColumns:
    """Scores of the n scored rows of a ledger, in no order; NaN where the means are of other scorers.

    Attributes:
        evol_score: (n,) float64.
        complexity: (n,) float64, mean over the turns of a row.
        quality: (n,) float64, mean over the turns of a row.
        selected: (n,) bool.
    """

    evol_score: NDArray[np.float64]
    complexity: NDArray[np.float64]
    quality: NDArray[np.float64]
    selected: NDArray[np.bool_]


def score_columns(con: duckdb.DuckDBPyConnection, selection: Selection) -> ScoreColumns:
    """Scores of what a selection was made from: 25 bytes for a row."""
    fingerprints = selection.spec["fingerprints"]
    found = con.execute(
        statement("selection/card_scores"),
        {
            "ledger_id": selection.ledger.ledger_id, "budget": selection.budget,
            "complexity": fingerprints["complexity"], "quality": fingerprints["quality"],
        },
    ).fetchnumpy()  # fmt: skip
    return ScoreColumns(
        evol_score=_filled(found["evol_score"]),
        complexity=_filled(found["complexity"]),
        quality=_filled(found["quality"]),
        selected=np.ma.getdata(found["selected"]).astype(bool),
    )


def similarities(con: duckdb.DuckDBPyConnection, selection: Selection) -> NDArray[np.float64]:
    """(m,) similarity of each row that was compared, to the nearest row kept before it; in no order."""
    parameters = {"ledger_id": selection.ledger.ledger_id, "budget": selection.budget}
    return _filled(
        con.execute(statement("selection/card_similarities"), parameters).fetchnumpy()["similarity"]
    )


def near_pairs(con: duckdb.DuckDBPyConnection, selection: Selection, limit: int) -> list[NearPair]:
    """The near-duplicates that came closest to being kept, nearest first."""
    parameters = {"ledger_id": selection.ledger.ledger_id, "budget": selection.budget, "limit": limit}
    return [NearPair(*row) for row in con.execute(statement("selection/card_pairs"), parameters).fetchall()]


def quarantine_counts(con: duckdb.DuckDBPyConnection, selection: Selection) -> list[tuple[str, str, int]]:
    """(source, reason, rows) of what could not be read when the pool versions of a selection were made."""
    sources, versions = zip(*selection.spec["sources"], strict=True)
    parameters = {"sources": list(sources), "versions": list(versions)}
    rows = con.execute(statement("selection/card_quarantine"), parameters).fetchall()
    return [(str(source), str(reason), int(n)) for source, reason, n in rows]


def calibration_of(con: duckdb.DuckDBPyConnection, selection: Selection) -> Calibration | None:
    """The newest calibration of a selection's scope over the same pool and embedder, or None."""
    return newest_calibration(con, selection.ledger.scope, selection.spec)


def _filled(column: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.ma.filled(np.ma.asarray(column, dtype=np.float64), np.nan)
