"""Complexity and quality of selected rows under the scorers that chose them, whatever scored their source since.

What belongs here: looking such scores up where the mirror of the current scorers has none. What does not: computing
scores, or evol_score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from math import fsum
from typing import TYPE_CHECKING

import pyarrow as pa

from deita_assets.stores.home import Home
from deita_assets.stores.sql import statement

if TYPE_CHECKING:
    import duckdb

#: (complexity, quality) of a row, each the mean over a row's turns; None where no turn has a score.
Means = tuple[float | None, float | None]


class StoredScores:
    """Scores of two fingerprints out of LanceDB, read when the first row is looked up (50 MB for 300,000 rows)."""

    def __init__(self, con: duckdb.DuckDBPyConnection, home: Home, scorers: Mapping[str, str]) -> None:
        """Nothing is read yet.

        Args:
            con: the warehouse, or its published copy.
            home: whose warehouse that is.
            scorers: `complexity` and `quality` -> fingerprint.
        """
        self._con, self._home, self._scorers = con, home, scorers
        self._tables: dict[str, pa.Table] | None = None

    def means(self, sample_ids: Sequence[str]) -> dict[str, Means]:
        """sample_id -> complexity and quality of rows; sums in turn order, as a scored pool has them."""
        if not sample_ids:
            return {}
        if self._tables is None:
            self._tables = {measure: self._results(measure) for measure in ("complexity", "quality")}
        for measure, table in self._tables.items():
            self._con.register(f"{measure}_now", table)
        query = statement("selection/member_turn_scores")
        turns = self._con.execute(query, {"ids": list(sample_ids)}).fetchall()
        for measure in self._tables:
            self._con.unregister(f"{measure}_now")
        found: dict[str, Means] = {}
        for sample_id, group in groupby(turns, key=lambda turn: str(turn[0])):
            _, complexity, quality = zip(*group, strict=True)
            found[sample_id] = (_mean(complexity), _mean(quality))
        return found

    def _results(self, measure: str) -> pa.Table:
        if not (self._home.lance / "scores.lance").is_dir():  # opening it would make it
            return pa.table({"prompt_sha256": pa.array([], pa.string()), "score": pa.array([], pa.float64())})
        from deita_assets.stores.vectors import ScoreTable

        results = ScoreTable(self._home).results(measure, self._scorers[measure])
        return results.select(["prompt_sha256", "score"])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fsum(known) / len(known) if known else None
