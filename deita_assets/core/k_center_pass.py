"""k-center: rows that leave no row of the pool far from a kept one.

What belongs here: the greedy choice and the bookkeeping that spares most comparisons. What does not: scores,
which have a say only through the order: where it begins, and who wins a tie.

The rule (Gonzalez 1985, "Clustering to minimize the maximum intercluster distance"; as core-set selection in
Sener & Savarese 2018, section 5): the first row of the order is kept, then always the row whose greatest
similarity to the kept rows is smallest; ties go to the row that stands first in the order. For unit vectors
the squared distance is 2 - 2 * similarity, so this is the farthest row first.

Lazily: the greatest similarity of a row to the kept ones only grows, so one that was found earlier is a lower
bound. The rows of the smallest bounds form the *front*. It is brought up to date in matrix products, then
after each kept row by one column, and the next row comes out of it until one outside might be smaller.
Similarities are exact (`exact_products`), so the list depends on no machine, thread count or size of the
front.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_assets.core.exact_products import float64_rows, rows_at, similarities
from deita_assets.core.repr_filter import VectorSource
from deita_assets.core.selection_pass import WholePoolPass
from deita_assets.core.similarity import ExactRows

#: Rows of a front.
FRONT_ROWS = 256
#: Rows brought up to date by one product, against all rows kept since the one of them that waited longest.
_UPDATED_ROWS = 64
#: Kept rows that first bounds are found from at once.
_BOUND_COLUMNS = 256
#: Entries of one product: 4 MiB of float64.
_PRODUCT_ENTRIES = 1 << 19


class KCenterPass(WholePoolPass):
    """Greedy k-center over all rows of an order; `run` may be called again with a larger budget.

    Memory for n rows: 4 * d + 24 bytes each (float64 vectors 8 * d + 24), and 8 * d for each kept row. 20,000
    float16 rows of d = 384 and 1,000 kept: 0.4 CPU seconds, 31 MiB. float32 and float64 vectors go through the
    slow route of `exact_products`, which is meant for some thousand rows.
    """

    def __init__(
        self, vectors: VectorSource, order: ArrayLike, frozen: int = 0, front_rows: int = FRONT_ROWS
    ) -> None:
        """Start a pass.

        Args:
            vectors: source of the stored vectors.
            order: (n,) row numbers; the first row is kept first.
            frozen: the first rows of the order, so many of them, are kept before anything is chosen.
            front_rows: rows kept up to date at once. It has no influence on the result.

        Raises:
            ValueError: for an order, a number of frozen rows or a front that cannot be used.
        """
        super().__init__(vectors, order, frozen)
        if front_rows < 1:
            raise ValueError(f"front_rows is {front_rows}, expected at least 1")
        self._front_rows = front_rows
        n = len(self.order)
        # For each row: lower bound, the kept row it comes from, and how many kept rows it was compared with.
        self._greatest = np.full(n, -np.inf)
        self._nearest = np.full(n, -1, dtype=np.int64)
        self._compared = np.zeros(n, dtype=np.int64)

    def _always_first(self) -> int:
        return max(self._frozen, 1)

    def _take(self, rows: ExactRows) -> None:
        super()._take(rows)
        self._greatest[self.is_kept] = np.inf

    def _advance(self, goal: int) -> None:
        first = min(self._always_first(), len(self.order))
        if len(self.kept) < first:
            end = min(len(self.kept) + self._front_rows, first, goal)
            self._walk(np.arange(len(self.kept), end), goal, outside=None)
            return
        waiting = np.flatnonzero((self._compared == 0) & ~self.is_kept)
        if len(waiting):
            self._find_bounds(waiting)
        front, outside = self._choose_front()
        self._walk(front, goal, outside)

    def _find_bounds(self, waiting: NDArray[np.int64]) -> None:
        """First bounds of rows: compared with the kept rows from the first on, as far as need be.

        The similarity of a chosen row to the kept ones never falls from choice to choice. So a row that is nearer
        to some kept row than the last choice was will not be next, and its bound can wait: a resumed pass then
        compares about what it would have compared without the stop.
        """
        chosen = len(self.kept) > self._always_first()
        reached = float(self.similarity[self.kept[-1]]) if chosen else -np.inf
        for since in range(0, len(self.kept), _BOUND_COLUMNS):
            until = min(since + _BOUND_COLUMNS, len(self.kept))
            columns = self._kept_rows.between(since, until)
            for start in range(0, len(waiting), _PRODUCT_ENTRIES // _BOUND_COLUMNS):
                part = waiting[start : start + _PRODUCT_ENTRIES // _BOUND_COLUMNS]
                self._raise(part, similarities(rows_at(self._taken(), part), columns), since)
            waiting = waiting[self._greatest[waiting] <= reached]

    def _choose_front(self) -> tuple[NDArray[np.int64], tuple[float, int]]:
        """(rows of the smallest (bound, rank), ranks ascending; the smallest (bound, rank) of all others)."""
        size = min(self._front_rows, len(self.order) - len(self.kept))
        last = np.partition(self._greatest, size - 1)[size - 1]
        below = np.flatnonzero(self._greatest < last)
        tied = np.flatnonzero(self._greatest == last)
        front = np.sort(np.concatenate((below, tied[: size - len(below)])))
        others = self._greatest.copy()
        others[front] = np.inf
        smallest = int(others.argmin())
        return front, (float(others[smallest]), smallest)

    def _walk(self, front: NDArray[np.int64], goal: int, outside: tuple[float, int] | None) -> None:
        """Keep rows of a front: all in order without `outside`, else while the next one is smaller than that."""
        self._update(front)
        rows = float64_rows(rows_at(self._taken(), front))
        for place in range(len(front)):
            at = place if outside is None else int(self._greatest[front].argmin())
            rank = int(front[at])
            if len(self.kept) == goal or (outside and (self._greatest[rank], rank) >= outside):
                return
            self._keep(rank, int(self._nearest[rank]), float(self._greatest[rank]))
            newest = similarities(rows, self._kept_rows.between(len(self.kept) - 1, len(self.kept)))
            self._raise(front, newest, len(self.kept) - 1)
            self._greatest[rank] = np.inf

    def _update(self, ranks: NDArray[np.int64]) -> None:
        """Compare rows with the rows that were kept since they were last compared."""
        late = ranks[self._compared[ranks] < len(self.kept)]
        late = late[np.argsort(self._compared[late], kind="stable")]
        start = 0
        while start < len(late):
            since = int(self._compared[late[start]])
            step = max(1, _PRODUCT_ENTRIES // (len(self.kept) - since))
            part = late[start : start + min(step, _UPDATED_ROWS)]
            part_rows = rows_at(self._taken(), part)
            self._raise(part, similarities(part_rows, self._kept_rows.between(since, len(self.kept))), since)
            start += len(part)

    def _raise(self, ranks: NDArray[np.int64], found: NDArray[np.float64], since: int) -> None:
        """Take over similarities (rows, kept rows from place `since` on); ties stay with the row kept first."""
        best = found.argmax(axis=1)
        greatest = found[np.arange(len(ranks)), best]
        nearer = greatest > self._greatest[ranks]
        self._nearest[ranks[nearer]] = best[nearer] + since
        self._greatest[ranks[nearer]] = greatest[nearer]
        self._compared[ranks] = since + found.shape[1]
