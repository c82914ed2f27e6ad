"""Decisions inside one block: rows that were kept a moment ago block later rows of the same block.

What belongs here: the sequential part of the greedy pass. What does not: rows kept in earlier blocks, beyond
the one number that says how near the nearest of them is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.block_kernel import BlockKernel, Pairs, float32_below
from deita_assets.core.kept_rows import KEEP_ALL, Block, Neighbours, greatest_by_row
from deita_assets.core.quotas import Quotas
from deita_assets.core.similarity import exact_similarity

#: Rows compared with the rows of their block at once.
_STRIP_ROWS = 128


class BlockWalk:
    """The rows of one block against each other.

    Attributes:
        keep: (n,) bool, filled by `decide`: True where the row is kept.
        over_quota: (n,) bool, filled by `decide`: True where the row's group was closed when its turn came.
    """

    def __init__(
        self,
        block: Block,
        before: Neighbours,
        threshold: float,
        kernel: BlockKernel,
        eps: float,
        frozen: int = 0,
    ) -> None:
        """Compare the rows of a block; the first `frozen` of them are kept whatever they resemble."""
        self._block, self._before, self._threshold, self._eps = block, before, threshold, eps
        self._frozen = frozen
        # Rows too near to an earlier block are dropped whatever happens here, and drop nothing themselves.
        self.keep = ~(before.similarity > threshold)
        self.keep[:frozen] = True
        self.over_quota = np.zeros(len(self.keep), dtype=np.bool_)
        self._column_row = np.flatnonzero(self.keep & block.distinct)
        self._estimates = self._compare(kernel)

    def _compare(self, kernel: BlockKernel) -> NDArray[np.float32]:
        """Estimates (n, columns) against the columns that come before each row; -inf against the others."""
        n, unit = len(self.keep), self._block.unit
        columns = unit[self._column_row]
        estimates = np.full((n, len(columns)), -np.inf, dtype=np.float32)
        for start in range(0, n, _STRIP_ROWS):
            rows = slice(start, start + _STRIP_ROWS)
            # Of the square above the diagonal only the corners within a strip are computed.
            before = int(np.searchsorted(self._column_row, min(start + _STRIP_ROWS, n) - 1))
            estimates[rows, :before] = kernel.cross(unit[rows], columns[:before])
            own = slice(int(np.searchsorted(self._column_row, start)), before)
            not_before = self._column_row[None, own] >= np.arange(start, min(start + _STRIP_ROWS, n))[:, None]
            estimates[rows, own][not_before] = -np.inf
        return estimates

    def decide(self, quotas: Quotas | None = None, group: NDArray[np.int64] | None = None) -> None:
        """Walk down the order: a row is dropped iff a row that is still kept is nearer than the threshold.

        Args:
            quotas: counted in; a row whose group is closed when its turn comes is dropped without a look.
            group: (n,) with quotas, groups of the rows.
        """
        near = self._estimates > float32_below(np.array(self._threshold - self._eps))
        crowded = self.keep & near.any(axis=1)
        crowded[: self._frozen if self._threshold < KEEP_ALL else None] = False  # nothing is above 1
        if quotas is None or group is None:
            for row in np.flatnonzero(crowded).tolist():
                self.keep[row] = not self._any_above(row, near[row])
            return
        for row, its_group in enumerate(group.tolist()):
            if row >= self._frozen and quotas.is_closed(its_group):
                self.keep[row], self.over_quota[row] = False, True
            elif crowded[row]:
                self.keep[row] = not self._any_above(row, near[row])
            if self.keep[row]:
                quotas.count(its_group)

    def nearest(self, stop: int) -> Neighbours:
        """The nearest row kept before each of the first `stop` rows, in this block or an earlier one.

        Rows over quota have none.
        """
        similarity, rank_index = self._nearest(stop)
        rank_index[self.over_quota[:stop]] = -1
        return Neighbours(similarity, rank_index)

    def _nearest(self, stop: int) -> Neighbours:
        similarity, rank_index = self._before.similarity[:stop].copy(), self._before.rank_index[:stop].copy()
        # `_column_row` is ascending, and what is stored of this block is among it.
        kept = np.searchsorted(self._column_row, self._block.to_store(self.keep))
        if not len(kept):
            return Neighbours(similarity, rank_index)
        estimates = self._estimates[:stop, kept]
        # A row of this block comes later in the ties than the nearest earlier one, so it has to be nearer.
        floor = np.maximum(estimates.max(axis=1).astype(np.float64) - 2 * self._eps, similarity - self._eps)
        row, column = np.nonzero((estimates >= float32_below(floor)[:, None]) & (estimates > -np.inf))
        pairs = Pairs(row, self._column_row[kept[column]])
        exact = exact_similarity(self._block.rows, pairs.row, self._block.rows, pairs.column)
        rows, best = greatest_by_row(pairs, exact)
        nearer = exact[best] > similarity[rows]
        similarity[rows[nearer]] = exact[best[nearer]]
        rank_index[rows[nearer]] = self._block.rank_index[pairs.column[best[nearer]]]
        return Neighbours(similarity, rank_index)

    def _any_above(self, row: int, near: NDArray[np.bool_]) -> bool:
        """Whether any kept one of these columns is more similar to the row than the threshold allows."""
        columns = np.flatnonzero(near)
        columns = columns[self.keep[self._column_row[columns]]]
        estimates = self._estimates[row, columns].astype(np.float64)
        if (estimates > self._threshold + self._eps).any():
            return True
        others = self._column_row[columns]
        rows = self._block.rows
        return bool((exact_similarity(rows, np.full(len(others), row), rows, others) > self._threshold).any())
