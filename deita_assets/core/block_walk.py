"""Decisions inside one block: rows that were kept a moment ago block later rows of the same block.

What belongs here: the sequential part of the greedy pass. What does not: rows kept in earlier blocks, beyond
the one number that says how near the nearest of them is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.block_kernel import BlockKernel, Pairs, float32_below
from deita_assets.core.kept_rows import Block, Neighbours, greatest_by_row
from deita_assets.core.similarity import exact_similarity


class BlockWalk:
    """The rows of one block against each other.

    Attributes:
        keep: (n,) bool, filled by `decide`: True where the row is kept.
    """

    def __init__(
        self, block: Block, before: Neighbours, threshold: float, kernel: BlockKernel, eps: float
    ) -> None:
        self._block, self._before, self._threshold, self._eps = block, before, threshold, eps
        # Rows too near to an earlier block are dropped whatever happens here, and drop nothing themselves.
        self.keep = ~(before.similarity > threshold)
        self._column_row = np.flatnonzero(self.keep & block.distinct)
        self._estimates = kernel.cross(block.unit, block.unit[self._column_row])
        not_before = self._column_row[None, :] >= np.arange(len(self.keep))[:, None]
        self._estimates[not_before] = -np.inf

    def decide(self) -> None:
        """Walk down the order: a row is dropped iff a row that is still kept is nearer than the threshold."""
        near = self._estimates > float32_below(np.array(self._threshold - self._eps))
        for row in np.flatnonzero(self.keep & near.any(axis=1)):
            columns = np.flatnonzero(near[row])
            columns = columns[self.keep[self._column_row[columns]]]
            self.keep[row] = not self._any_above(row, columns)

    def nearest(self, stop: int) -> Neighbours:
        """The nearest row kept before each of the first `stop` rows, in this block or an earlier one."""
        similarity, rank_index = self._before.similarity[:stop].copy(), self._before.rank_index[:stop].copy()
        kept = np.flatnonzero(self.keep[self._column_row])
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

    def _any_above(self, row: np.intp, columns: NDArray[np.int64]) -> bool:
        """Whether any of these columns is more similar to the row than the threshold allows."""
        estimates = self._estimates[row, columns].astype(np.float64)
        if (estimates > self._threshold + self._eps).any():
            return True
        others = self._column_row[columns]
        rows = self._block.rows
        return bool((exact_similarity(rows, np.full(len(others), row), rows, others) > self._threshold).any())
