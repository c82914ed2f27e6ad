"""What every selector's pass looks like to a ledger, and what the passes that choose among all rows share.

What belongs here: the protocol, the state of such a pass, how it stops and goes on. What does not: which row
is chosen next.
"""

from __future__ import annotations

import math
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_assets.core.exact_products import GrowingRows, rows_at, take_all
from deita_assets.core.kept_rows import KEEP_ALL
from deita_assets.core.repr_filter import Progress, VectorSource, checked_frozen
from deita_assets.core.similarity import ExactRows


class SelectionPass(Protocol):
    """One pass over ranked rows: what a ledger reads of any selector.

    All places are rank indices: 0-based places in `order`. A row is dropped as a near-duplicate iff it has a
    `blocked_by` and is neither kept nor over quota; a row that is none of these is unvisited. (`visited` alone
    does not tell: k-center and facility location visit the rows that they keep, wherever in the order they
    stand.)

    Attributes:
        order: (n,) int64, row numbers of the vector source.
        threshold: similarity above which a row was dropped; 1.0 for selectors that drop nothing.
        kept: rank indices of the kept rows, in the order in which they were kept; ascending for selectors that
            visit in order, and only for those.
        is_kept: (n,) bool.
        is_over_quota: (n,) bool, rows whose group was closed when their turn came.
        blocked_by: (n,) int64, nearest row kept before, ties to the one kept first; -1 where there is none.
        similarity: (n,) float64, similarity to that row; NaN where there is none.
    """

    order: NDArray[np.int64]
    threshold: float
    kept: list[int]
    is_kept: NDArray[np.bool_]
    is_over_quota: NDArray[np.bool_]
    blocked_by: NDArray[np.int64]
    similarity: NDArray[np.float64]

    @property
    def visited(self) -> int:
        """How many rows are decided."""
        ...

    @property
    def exhausted(self) -> bool:
        """Whether every row was visited, so that no larger budget could keep more."""
        ...

    def run(self, budget: int | None = None, on_progress: Progress | None = None) -> None:
        """Go on until `budget` rows are kept in all (None: to the end); what is decided stays as it is.

        Args:
            budget: rows to keep in all, at least 1.
            on_progress: called now and then with (rows visited, rows kept).

        Raises:
            ValueError: for a budget below 1, or rows that cannot be used.
        """
        ...


class WholePoolPass:
    """A `SelectionPass` that may keep any row next, so it holds the vectors of all; the choice is a subclass's.

    A visit keeps: nothing is dropped, and `visited` is the number of kept rows. An exception out of the vector
    source or the progress callback leaves the pass as it stood; `run` may then be called again.

    Attributes: those of `SelectionPass`. A kept row's `similarity` and `blocked_by` tell of the nearest row
    kept before it; all other rows have NaN and -1.
    """

    def __init__(self, vectors: VectorSource, order: ArrayLike, frozen: int = 0) -> None:
        """Start a pass.

        Args:
            vectors: source of the stored vectors; taken once, when the pass first runs.
            order: (n,) row numbers; ties go to the row that stands first.
            frozen: the first rows of the order, so many of them, are kept before anything is chosen.

        Raises:
            ValueError: for an order or a number of frozen rows that cannot be used.
        """
        self.order: NDArray[np.int64] = np.asarray(order, dtype=np.int64)
        if self.order.ndim != 1:
            raise ValueError(f"order has shape {self.order.shape}, expected one row number for each rank")
        n = len(self.order)
        self.threshold = KEEP_ALL
        self.kept: list[int] = []
        self.is_kept = np.zeros(n, dtype=np.bool_)
        self.is_over_quota = np.zeros(n, dtype=np.bool_)
        self.blocked_by = np.full(n, -1, dtype=np.int64)
        self.similarity = np.full(n, np.nan)
        self._vectors = vectors
        self._frozen = checked_frozen(frozen, n)
        self._rows: ExactRows | None = None
        self._kept_rows = GrowingRows()

    @classmethod
    def resume(
        cls,
        vectors: VectorSource,
        order: ArrayLike,
        *,
        kept: ArrayLike,
        blocked_by: ArrayLike,
        similarity: ArrayLike,
        frozen: int = 0,
    ) -> Self:
        """Continue a pass that was stored: the same vectors, order and frozen rows, and what it had found.

        Args:
            vectors: as for a new pass.
            order: as for a new pass.
            kept: rank indices of the rows kept by then, in the order in which they were kept.
            blocked_by: (n,) that attribute; read at the kept rows.
            similarity: (n,) that attribute; read at the kept rows.
            frozen: as for a new pass.

        Raises:
            ValueError: for parts that do not fit together.
        """
        resumed = cls(vectors, order, frozen)
        ranks = np.asarray(kept, dtype=np.int64)
        nearest, found = np.asarray(blocked_by, dtype=np.int64), np.asarray(similarity, dtype=np.float64)
        resumed._check_stored(ranks, nearest, found)
        resumed.kept = ranks.tolist()
        resumed.is_kept[ranks] = True
        resumed.blocked_by[ranks] = nearest[ranks]
        resumed.similarity[ranks] = found[ranks]
        return resumed

    @property
    def visited(self) -> int:
        """How many rows are decided: the kept ones."""
        return len(self.kept)

    @property
    def exhausted(self) -> bool:
        """Whether every row is kept, so that no larger budget could keep more."""
        return len(self.kept) == len(self.order)

    def run(self, budget: int | None = None, on_progress: Progress | None = None) -> None:
        """Keep rows until there are `budget` of them (None: all); rows kept before stay as they are.

        Args:
            budget: rows to keep in all, at least 1.
            on_progress: called now and then with (rows visited, rows kept).

        Raises:
            ValueError: for a budget below 1, or vectors that cannot be compared.
        """
        if budget is not None and budget < 1:
            raise ValueError(f"budget is {budget}, expected at least 1, or None for no limit")
        goal = int(min(len(self.order), math.inf if budget is None else budget))
        while len(self.kept) < goal:
            if self._rows is None:
                self._take(take_all(self._vectors, self.order))
            self._advance(goal)
            if on_progress is not None:
                on_progress(self.visited, len(self.kept))

    def _take(self, rows: ExactRows) -> None:
        """Take over the vectors; the rows of a resumed pass are kept already."""
        self._kept_rows = GrowingRows()
        self._kept_rows.append(rows_at(rows, np.asarray(self.kept, dtype=np.int64)))
        self._rows = rows

    def _advance(self, goal: int) -> None:
        """Take one step: keep some rows, no more than `goal` in all, or come nearer to the next one."""
        raise NotImplementedError

    def _taken(self) -> ExactRows:
        """The vectors in rank order, once they were taken."""
        if self._rows is None:
            raise ValueError("no vectors were taken yet; they are when a pass runs")
        return self._rows

    def _always_first(self) -> int:
        """How many rows are kept from the front of the order before anything is chosen."""
        return self._frozen

    def _keep(self, rank: int, nearest: int, similarity: float) -> None:
        """Keep a row; `nearest` is a place among the kept rows, -1 for the first."""
        self._kept_rows.append(rows_at(self._taken(), slice(rank, rank + 1)))
        if nearest >= 0:
            self.blocked_by[rank] = self.kept[nearest]
            self.similarity[rank] = similarity
        self.is_kept[rank] = True
        self.kept.append(rank)

    def _check_stored(
        self, kept: NDArray[np.int64], blocked_by: NDArray[np.int64], similarity: NDArray[np.float64]
    ) -> None:
        n = len(self.order)
        if blocked_by.shape != (n,) or similarity.shape != (n,):
            raise ValueError(
                f"blocked_by {blocked_by.shape} and similarity {similarity.shape} do not fit the order, "
                f"expected one entry for each of its {n} rows"
            )
        first = min(self._always_first(), len(kept))
        in_range = kept.ndim == 1 and (not len(kept) or 0 <= kept.min() <= kept.max() < n)
        if not in_range or len(np.unique(kept)) != len(kept) or (kept[:first] != np.arange(first)).any():
            raise ValueError(
                f"kept is {kept[:10]}..., expected different ranks below {n} in the order in which they were "
                f"kept, ranks 0 to {first - 1} first"
            )
