"""The kept rows of a greedy pass, and the exact nearest of them for each row of a block.

What belongs here: what has been kept and how near it is. What does not: what is kept next.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.block_kernel import BlockKernel, Pairs, with_room
from deita_assets.core.row_tiles import TILE_ROWS, RowTiles
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
        distinct: (n,) bool; False where a kept row of an earlier block points in the same direction.
    """

    rank_index: NDArray[np.int64]
    rows: ExactRows
    unit: NDArray[np.float32]
    keys: list[bytes] | None
    distinct: NDArray[np.bool_]

    def to_store(self, keep: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Of the rows kept, `keep` (n,), those that can be a nearest one: the first kept in each direction."""
        kept = np.flatnonzero(keep & self.distinct)
        if self.keys is None:
            return kept
        first: dict[bytes, int] = {}
        for row in kept.tolist():
            first.setdefault(self.keys[row], row)
        return np.fromiter(first.values(), np.int64, len(first))


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

    At threshold 1.0 even equal rows are kept, and frozen rows at any threshold. A row that points in the same
    direction as an earlier kept row is never the nearest, because ties go to the earlier one, so it is not
    stored: in a pool with thousands of equal rows each would otherwise have to be compared exactly with each.
    """

    def __init__(self, kernel: BlockKernel, dimension: int, threshold: float, frozen: int = 0) -> None:
        self.kernel = kernel
        self.eps = float32_error_bound(dimension)
        # Below this rank equal rows may be kept; from there on a row equal to a kept one never is.
        self._equal_below = math.inf if threshold >= KEEP_ALL else frozen
        self._known: set[bytes] = set()
        self._values: RowTiles[np.floating] = RowTiles()
        self._square = np.empty(0)
        self._weight = np.empty(0, dtype=np.int64)
        self._rank_index = np.empty(0, dtype=np.int64)

    def prepare(self, rank_index: NDArray[np.int64], rows: ExactRows) -> Block:
        """Make a block of rows that have these places in the order."""
        distinct = np.ones(len(rows.square), dtype=np.bool_)
        if not len(rank_index) or rank_index[0] >= self._equal_below:
            return Block(rank_index, rows, rows.unit_float32(), None, distinct)
        keys = direction_keys(rows)
        distinct &= [key not in self._known for key in keys]
        return Block(rank_index, rows, rows.unit_float32(), keys, distinct)

    def append(self, block: Block, keep: NDArray[np.bool_]) -> None:
        """Add the rows of a block where `keep` (n,) is True."""
        chosen = block.to_store(keep)
        used, needed = len(self._values), len(self._values) + len(chosen)
        square = with_room(self._square, used, needed)
        weight = with_room(self._weight, used, needed)
        rank_index = with_room(self._rank_index, used, needed)
        self.kernel.append(block.unit[chosen])  # before anything is noted: a device may be out of memory
        self._values.append(block.rows.values[chosen].astype(block.rows.stored))  # nothing is lost
        square[used:needed] = block.rows.square[chosen]
        weight[used:needed] = block.rows.weight[chosen]
        rank_index[used:needed] = block.rank_index[chosen]
        self._square, self._weight, self._rank_index = square, weight, rank_index
        if block.keys is not None:
            self._known.update(block.keys[i] for i in chosen)

    def nearest(self, block: Block) -> Neighbours:
        """The nearest kept row of each row of a block; ties go to the row kept first."""
        n = len(block.unit)
        if not len(self._values):
            return Neighbours(np.full(n, -np.inf), np.full(n, -1, dtype=np.int64))
        # Estimates err by eps at most, so the nearest row's estimate is within 2 eps of the greatest one.
        pairs = self.kernel.near_best(block.unit, 2 * self.eps)
        similarity = np.empty(len(pairs.row))
        for start in range(0, len(pairs.row), TILE_ROWS):  # no more of them unpacked than a tile of kept rows
            part = slice(start, start + TILE_ROWS)
            similarity[part] = self._exact(block, pairs.row[part], pairs.column[part])
        _, best = greatest_by_row(pairs, similarity)
        return Neighbours(similarity[best], self._rank_index[pairs.column[best]])

    def _exact(self, block: Block, row: NDArray[np.int64], column: NDArray[np.int64]) -> NDArray[np.float64]:
        kept = ExactRows(
            self._values.take(column), self._square[column], self._weight[column], block.rows.stored
        )
        return exact_similarity(block.rows, row, kept, None)


def greatest_by_row(
    pairs: Pairs, similarity: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(rows that occur in `pairs`, ascending; index of the pair with the greatest similarity for each).

    Ties go to the smaller column.
    """
    order = np.lexsort((pairs.column, -similarity, pairs.row))
    rows, first = np.unique(pairs.row[order], return_index=True)
    return rows, order[first]
