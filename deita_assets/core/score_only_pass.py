"""The pass without vectors: rows are kept in score order, as far as quotas allow.

What belongs here: the counterpart of `repr_filter.GreedyPass` for selectors that look at no similarity. What
does not: how rows are ranked; a random order makes it a random selection.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_assets.core.kept_rows import KEEP_ALL
from deita_assets.core.quotas import Quotas, checked_quotas
from deita_assets.core.repr_filter import Progress, checked_frozen

#: Rows between two calls of `on_progress`.
_STEP_ROWS = 1 << 16


class ScoreOnlyPass:
    """Keeps every row that its group's quota allows; `run` may be called again with a larger budget.

    It has the attributes of `GreedyPass`, so that whatever reads one reads the other. It is quick enough to be
    run anew instead of being resumed: a larger budget gives the same rows first.

    Attributes:
        order: (n,) int64, row numbers, best score first.
        threshold: 1.0, at which nothing is too similar.
        visited: how many rows are decided, from the front of the order.
        kept: rank indices of the kept rows, in the order in which they were kept.
        is_kept: (n,) bool.
        is_over_quota: (n,) bool, rows whose group was closed when their turn came.
        blocked_by: (n,) int64, -1 throughout.
        similarity: (n,) float64, NaN throughout.
    """

    def __init__(self, order: ArrayLike, frozen: int = 0, quotas: Quotas | None = None) -> None:
        """Start a pass.

        Args:
            order: (n,) row numbers, best score first.
            frozen: the first rows of the order, so many of them, are kept whatever the quotas; they count.
            quotas: caps and floors, not used by another pass; None for none.

        Raises:
            ValueError: for an order, a number of frozen rows or quotas that cannot be used.
        """
        self.order: NDArray[np.int64] = np.asarray(order, dtype=np.int64)
        if self.order.ndim != 1:
            raise ValueError(f"order has shape {self.order.shape}, expected one row number for each rank")
        self.threshold = KEEP_ALL
        self.visited = 0
        self.kept: list[int] = []
        self.is_kept = np.zeros(len(self.order), dtype=np.bool_)
        self.is_over_quota = np.zeros(len(self.order), dtype=np.bool_)
        self.blocked_by = np.full(len(self.order), -1, dtype=np.int64)
        self.similarity = np.full(len(self.order), np.nan)
        self._frozen = checked_frozen(frozen, len(self.order))
        self._quotas = checked_quotas(quotas, self.order)

    @property
    def exhausted(self) -> bool:
        """Whether every row was visited, so that no larger budget could keep more."""
        return self.visited == len(self.order)

    def run(self, budget: int | None = None, on_progress: Progress | None = None) -> None:
        """Visit rows until `budget` rows are kept (None: to the end); rows decided before stay as they are.

        Args:
            budget: rows to keep in all, at least 1. The pass stops right after the row that fills it.
            on_progress: called now and then with (rows visited, rows kept).

        Raises:
            ValueError: for a budget below 1.
        """
        if budget is not None and budget < 1:
            raise ValueError(f"budget is {budget}, expected at least 1, or None for no limit")
        most = math.inf if budget is None else budget
        while not self.exhausted and len(self.kept) < most:
            self._visit(min(self.visited + _STEP_ROWS, len(self.order)), most - len(self.kept))
            if on_progress is not None:
                on_progress(self.visited, len(self.kept))

    def _visit(self, end: int, remaining: float) -> None:
        """Decide the rows up to `end`, or to the one that fills the budget."""
        if self._quotas is None:
            end = int(min(end, self.visited + remaining))
            kept = list(range(self.visited, end))
        else:
            kept, end = self._admitted(self._quotas, end, remaining)
        self.is_kept[kept] = True
        self.is_over_quota[self.visited : end] = ~self.is_kept[self.visited : end]
        self.kept.extend(kept)
        self.visited = end

    def _admitted(self, quotas: Quotas, end: int, remaining: float) -> tuple[list[int], int]:
        """(ranks kept from here on, where the walk stopped)."""
        kept: list[int] = []
        groups = quotas.group[self.order[self.visited : end]].tolist()
        for rank, group in enumerate(groups, self.visited):
            if rank < self._frozen or not quotas.is_closed(group):
                quotas.count(group)
                kept.append(rank)
                if len(kept) == remaining:
                    return kept, rank + 1
        return kept, end
