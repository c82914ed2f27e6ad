"""Facility location: rows that together stand for the pool, each row by the kept row nearest to it.

What belongs here: the greedy choice and its lazy evaluation. What does not: scores, which have a say only
through the order, where ties are settled.

The rule: keep the row j with the greatest gain in

    F(S) = sum over all rows i of max over j in S of max(0, g(i, j)),     F of no rows = 0,
    g(i, j) = similarity(i, j) * 2**24, rounded to the nearest integer (halves to the even one),

ties to the row that stands first in the order. The grid makes every gain a sum of integers below 2**53, which
float64 holds exactly in any order of summation: rounding errors, which would settle near-ties by accident, do
not exist. It is 6e-8 wide, as fine as a float32 similarity. F is monotone and submodular, so the greedy list
reaches at least 1 - 1/e of the best value for its length (Nemhauser, Wolsey & Fisher 1978).

Lazily (Minoux 1978): a gain only falls as rows are kept, so one that was found earlier is an upper bound, and
only rows of the greatest bounds are evaluated again, some at a time.

Own code, because the libraries at hand sum in floating point, leave ties to that sum and cannot resume:
apricot-select (last release in 2021) and submodlib-py (one release, in 2025), both on numba.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_assets.core.coverage import CoverageLists, above, coverage, expected_pairs, square_tiles, tiles
from deita_assets.core.exact_products import float64_rows, rows_at, similarities
from deita_assets.core.repr_filter import VectorSource
from deita_assets.core.selection_pass import WholePoolPass
from deita_assets.core.similarity import ExactRows

#: Rows that a pass takes at most: time and memory grow with their square (see `FacilityLocationPass`).
ROW_LIMIT = 30_000
#: Pairs that the lists may hold, about: 1.5 GiB while they are made, 1 GiB then.
LIST_PAIRS = 1 << 27
#: Rows evaluated again at once.
EVALUATED_ROWS = 16
#: Frozen rows kept in one step.
_FROZEN_ROWS = 512


class FacilityLocationPass(WholePoolPass):
    """Greedy facility location over all rows of an order; `run` may be called again with a larger budget.

    Every pair of rows is compared at least twice, n * n * d operations in float64 each time: once for the first
    gains, and once when the pairs that still count have become few enough to be listed, after the first kept
    rows. Then a gain is a short sum. Measured on one thread of a server CPU (48 GFLOP/s in float64), d = 384,
    float16, 1,000 rows kept, sentence embeddings and a synthetic pool in 300 topics:

        rows      CPU seconds     MiB
        5,000     1.3 and 1.9     70 and 140
        20,000    17 and 29       660 and 1,580
        30,000    35 and 57       1,370 and 800

    The lists hold no more than about `LIST_PAIRS` pairs; a pool with more waits for further kept rows and
    compares all pairs again until then. Vectors take 8 * d bytes a row. float32 and float64 vectors go through
    the slow route of `exact_products`, which is meant for some thousand rows.
    """

    def __init__(
        self,
        vectors: VectorSource,
        order: ArrayLike,
        frozen: int = 0,
        evaluated_rows: int = EVALUATED_ROWS,
        list_pairs: int = LIST_PAIRS,
    ) -> None:
        """Start a pass.

        Args:
            vectors: source of the stored vectors.
            order: (n,) row numbers, at most `ROW_LIMIT`.
            frozen: the first rows of the order, so many of them, are kept before anything is chosen.
            evaluated_rows: rows evaluated at once. It has no influence on the result.
            list_pairs: pairs of rows that may be listed. It has no influence on the result.

        Raises:
            ValueError: for an order that is too long, or an order, a number of frozen rows or of evaluated rows
                that cannot be used.
        """
        super().__init__(vectors, order, frozen)
        n = len(self.order)
        if n > ROW_LIMIT:
            raise ValueError(
                f"facility location compares every row with every other: found {n} rows, expected at most "
                f"{ROW_LIMIT}; use another selector, leave rows out by a filter, or select from a smaller scope"
            )
        if evaluated_rows < 1:
            raise ValueError(f"evaluated_rows is {evaluated_rows}, expected at least 1")
        self._evaluated_rows, self._list_pairs = evaluated_rows, list_pairs
        # For each row, in units of the grid: how well the kept rows cover it, and its gain when `_gain_at` rows
        # were kept, a bound from then on. Kept rows have -1.
        self._covered = np.zeros(n)
        self._gain = np.zeros(n)
        self._gain_at = np.full(n, -1, dtype=np.int64)
        self._lists: CoverageLists | None = None
        self._lists_tried_at = 0

    def _take(self, rows: ExactRows) -> None:
        super()._take(float64_rows(rows))
        self._cover(np.asarray(self.kept, dtype=np.int64))

    def _advance(self, goal: int) -> None:
        end = min(len(self.kept) + _FROZEN_ROWS, self._frozen, goal)
        if len(self.kept) < end:
            ranks = np.arange(len(self.kept), end)
            for rank in ranks.tolist():
                self._keep_with_nearest(rank)
            self._cover(ranks)
            return
        if self._lists is None and len(self.kept) >= max(1, 2 * self._lists_tried_at):
            self._try_lists()
        if self._gain_at.max() < 0:
            self._evaluate_all()
        best = int(self._gain.argmax())
        while self._gain_at[best] < len(self.kept) and self._gain[best] > 0:
            self._evaluate()
            best = int(self._gain.argmax())
        if self._lists is not None:
            self._lists.cover(best, self._covered)
        elif self._gain[best] > 0:
            self._cover(np.array([best]))
        self._keep_with_nearest(best)
        self._gain[best] = -1.0

    def _try_lists(self) -> None:
        """List the pairs that still count, if they are few enough by now. Either way every row is evaluated."""
        self._lists_tried_at = len(self.kept)
        rows = self._taken()
        expected = expected_pairs(rows, self._covered)
        if expected > self._list_pairs:
            self._evaluate_all()
            return
        self._lists = CoverageLists.of(rows, self._covered, expected)
        for part in tiles(len(self.order), len(self.order)):
            ranks = np.arange(part.start, part.stop)
            self._gain[part] = self._lists.gains(ranks, self._covered)
        self._all_evaluated()

    def _evaluate_all(self) -> None:
        """Evaluate every row without lists; each pair of rows is compared once and counts on both sides."""
        rows = self._taken()
        strips = square_tiles(len(self.order))
        self._gain[:] = 0.0
        for a, here in enumerate(strips):
            for there in strips[a:]:
                tile = coverage(rows_at(rows, here), rows_at(rows, there))
                self._gain[there] += above(tile, self._covered[here, None]).sum(axis=0)
                if there != here:
                    self._gain[here] += above(tile, self._covered[there]).sum(axis=1)
        self._all_evaluated()

    def _all_evaluated(self) -> None:
        self._gain[self.is_kept] = -1.0
        self._gain_at[:] = len(self.kept)

    def _evaluate(self) -> None:
        """Bring the gains of the rows with the greatest bounds up to date."""
        bounds = np.where(self._gain_at < len(self.kept), self._gain, -1.0)
        first = max(0, len(bounds) - self._evaluated_rows)
        ranks = np.argpartition(bounds, first)[first:]
        ranks = ranks[bounds[ranks] > 0]
        if self._lists is not None:
            self._gain[ranks] = self._lists.gains(ranks, self._covered)
        else:
            rows = self._taken()
            for part in tiles(len(ranks), len(self.order)):
                tile = coverage(rows_at(rows, ranks[part]), rows)
                self._gain[ranks[part]] = above(tile, self._covered).sum(axis=1)
        self._gain_at[ranks] = len(self.kept)

    def _cover(self, ranks: NDArray[np.int64]) -> None:
        """Raise what is covered to what these rows cover."""
        rows = self._taken()
        for part in tiles(len(ranks), len(self.order)):
            tile = coverage(rows_at(rows, ranks[part]), rows)
            np.maximum(self._covered, tile.max(axis=0), out=self._covered)

    def _keep_with_nearest(self, rank: int) -> None:
        """Keep a row, with its nearest kept row; ties go to the one kept first."""
        if not self.kept:
            self._keep(rank, -1, np.nan)
            return
        found = similarities(
            rows_at(self._taken(), slice(rank, rank + 1)), self._kept_rows.between(0, len(self.kept))
        )[0]
        nearest = int(found.argmax())
        self._keep(rank, nearest, float(found[nearest]))
