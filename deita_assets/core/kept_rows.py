"""The kept rows of a greedy pass, and the exact nearest of them for each row of a block.

What belongs here: what has been kept and how near it is. What does not: what is kept next.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.block_kernel import BlockKernel, Pairs, with_room
from deita_assets.core.similarity import ExactRows, direction_keys, exact_similarity, float32_error_bound

#: Threshold at which even equal rows are kept.
KEEP_ALL = 1.0


class Block(NamedTuple):
    """Rows of the order, fetched and prepared.

    Attributes:
        rank_index: (n,) int64, ascending, their places in the order.
        rows: the rows for exact comparison.
        unit: (n, d) float32, the rows at length 1.
        keys: directions of the rows, where equal rows are to be told apart, else None.
        distinct: (n,) bool; False where a kept row or an earlier row of the block points in the same
            direction.
    """

    rank_index: NDArray[np.int64]
    rows: ExactRows
    unit: NDArray[np.float32]
    keys: list[bytes] | None
    distinct: NDArray[np.bool_]


class Neighbours(NamedTuple):
    """For each row of a block the nearest of the rows kept before it.

    Attributes:
        similarity: (n,) float64, -inf if there is none.
        rank_index: (n,) int64, -1 if there is none.
    """

    similarity: NDArray[np.float64]
    rank_index: NDArray[np.int64]


class KeptRows:
    """Kept rows in the order in which they were kept, ready for the kernel and for exact comparison.

    At threshold 1.0 even equal rows are kept. A row that points in the same direction as an earlier kept row
    is never the nearest, because ties go to the earlier one, so it is not stored: in a pool with thousands
    of equal rows each would otherwise have to be compared exactly with each.
    """

    def __init__(self, kernel: BlockKernel, dimension: int, threshold: float) -> None:
        self.kernel = kernel
        self.eps = float32_error_bound(dimension)
        self._known: set[bytes] | None = set() if threshold >= KEEP_ALL else None
        self._rows: ExactRows | None = None
        self._rank_index = np.empty(0, dtype=np.int64)

    def prepare(self, rank_index: NDArray[np.int64], rows: ExactRows) -> Block:
        """Make a block of rows that have these places in the order."""
        distinct = np.ones(len(rows.square), dtype=np.bool_)
        if self._known is None:
            return Block(rank_index, rows, rows.unit_float32(), None, distinct)
        keys = direction_keys(rows)
        in_block: set[bytes] = set()
        for i, key in enumerate(keys):
            distinct[i] = key not in self._known and key not in in_block
            in_block.add(key)
        return Block(rank_index, rows, rows.unit_float32(), keys, distinct)

    def append(self, block: Block, keep: NDArray[np.bool_]) -> None:
        """Add the rows of a block where `keep` (n,) is True."""
        chosen = np.flatnonzero(keep & block.distinct)
        used, needed = len(self.kernel), len(self.kernel) + len(chosen)
        kept = self._rows or block.rows.without_rows()
        kept = ExactRows(
            with_room(kept.values, used, needed),
            with_room(kept.square, used, needed),
            with_room(kept.weight, used, needed),
            kept.stored,
        )
        rank_index = with_room(self._rank_index, used, needed)
        self.kernel.append(block.unit[chosen])  # before anything is noted: a device may be out of memory
        kept.values[used:needed] = block.rows.values[chosen]  # back to the stored dtype: nothing is lost
        kept.square[used:needed] = block.rows.square[chosen]
        kept.weight[used:needed] = block.rows.weight[chosen]
        rank_index[used:needed] = block.rank_index[chosen]
        self._rows, self._rank_index = kept, rank_index
        if self._known is not None and block.keys is not None:
            self._known.update(block.keys[i] for i in chosen)

    def nearest(self, block: Block) -> Neighbours:
        """The nearest kept row of each row of a block; ties go to the row kept first."""
        n = len(block.unit)
        if self._rows is None:
            return Neighbours(np.full(n, -np.inf), np.full(n, -1, dtype=np.int64))
        # Estimates err by eps at most, so the nearest row's estimate is within 2 eps of the greatest one.
        pairs = self.kernel.near_best(block.unit, 2 * self.eps)
        similarity = exact_similarity(block.rows, pairs.row, self._rows, pairs.column)
        _, best = greatest_by_row(pairs, similarity)
        return Neighbours(similarity[best], self._rank_index[pairs.column[best]])


def greatest_by_row(
    pairs: Pairs, similarity: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(rows that occur in `pairs`, ascending; index of the pair with the greatest similarity for each).

    Ties go to the smaller column.
    """
    order = np.lexsort((pairs.column, -similarity, pairs.row))
    rows, first = np.unique(pairs.row[order], return_index=True)
    return rows, order[first]
