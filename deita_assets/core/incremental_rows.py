"""Rows at length 1, prepared at a tenth of the usual price, and which of them are kept.

Most rows of an incremental pass are compared with a few rows only and near none of them. They are brought to
length 1 in float32, with an error bound that allows for it; a pair that comes near is compared exactly.

What belongs here: quick preparation, and the estimates against kept rows. What does not: exact values, and what
is kept next.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.block_kernel import BlockKernel, Pairs, float32_below, with_room
from deita_assets.core.row_tiles import TILE_ROWS

#: Unit roundoff of float32.
_U32 = 2.0**-24
#: Sums of squares between which no square that matters overflows or vanishes in float32.
_SMALLEST_SQUARE, _LARGEST_SQUARE = 2.0**-60, 2.0**60


class QuickBlock(NamedTuple):
    """Rows that follow each other in the order.

    Attributes:
        ranks: (n,) int64, ascending, their places in the order.
        unit: (n, d) float32, the rows at length 1, as near as `quick_error_bound` says.
        keys: digests of the stored rows, where equal ones may be kept, else None.
        distinct: (n,) bool; False where an earlier row that is equal is kept for certain. Such a row is never the
            nearest, because ties go to the earlier one.
    """

    ranks: NDArray[np.int64]
    unit: NDArray[np.float32]
    keys: list[bytes] | None
    distinct: NDArray[np.bool_]


def quick_error_bound(dimension: int) -> float:
    """Greatest distance of a float32 estimate from `similarity`, for rows prepared by `quick_unit`.

    As in `float32_error_bound`, with u = 2**-24, d = dimension, g(k) = k*u / (1 - k*u). The float32 sum of squares
    is exact up to d + 2 factors within (1 - u)**+-1: d for products and sums in any order, two for float64 rows,
    which are cast first. Its root therefore up to d/2 + 1 of them, and one for rounding; division and cast add two.
    So a component of a row is right up to d/2 + 4 such factors, a product of two components up to d + 8, a sum of d
    products up to 2 d + 8. By Cauchy-Schwarz the estimate is off by g(2 d + 8) at most. What vanishes or becomes
    subnormal is below d * 2**-66 next to a sum of squares of at least 2**-60, and the definition itself is rounded
    by 8 * 2**-53; one more u covers both. Rows prepared by `ExactRows.unit_float32` are nearer still.
    """
    k = 2 * dimension + 9
    return k * _U32 / (1 - k * _U32)


def quick_unit(stored: NDArray[np.floating]) -> NDArray[np.float32] | None:
    """Stored rows (n, d) at length 1, (n, d) float32; None if a row is too large, too small or not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        rows = stored.astype(np.float32)
        square = np.vecdot(rows, rows)
    if not ((square > _SMALLEST_SQUARE) & (square < _LARGEST_SQUARE)).all():
        return None
    rows /= np.sqrt(square)[:, None]
    return rows


class KeptUnits:
    """Kept rows at length 1, in the order in which they were kept: all of them, and the new ones among them.

    Attributes:
        eps: how far an estimate can be off.
        pairs: pairs of rows that were compared.
    """

    def __init__(self, kernel: BlockKernel, dimension: int, equal_below: float) -> None:
        """Start with none.

        Args:
            kernel: empty; it gets all kept rows.
            dimension: length of a row.
            equal_below: rank below which rows are kept even if they equal a kept one.
        """
        self.eps = quick_error_bound(dimension)
        self.pairs = 0
        self._kernel, self._equal_below = kernel, equal_below
        self._known: set[bytes] = set()
        self._rank = np.empty(0, np.int64)
        self._new_unit = np.empty((0, dimension), np.float32)
        self._new_rank = np.empty(0, np.int64)
        self._n_new = 0

    @property
    def any_new(self) -> bool:
        """Whether any kept row is new."""
        return self._n_new > 0

    def block(
        self, ranks: NDArray[np.int64], stored: NDArray[np.floating], unit: NDArray[np.float32]
    ) -> QuickBlock:
        """Rows of the order, told apart where equal ones may be kept.

        Below `equal_below` every row is kept, so that of equal ones in a block the first is kept for certain.
        """
        distinct = np.ones(len(ranks), np.bool_)
        if not len(ranks) or ranks[0] >= self._equal_below:
            return QuickBlock(ranks, unit, None, distinct)
        keys = [hashlib.sha256(row.tobytes()).digest() for row in stored]
        kept_here: set[bytes] = set()
        for at, key in enumerate(keys):
            distinct[at] = key not in self._known and key not in kept_here
            if ranks[at] < self._equal_below:
                kept_here.add(key)
        return QuickBlock(ranks, unit, keys, distinct)

    def append(self, block: QuickBlock, keep: NDArray[np.bool_], counted: NDArray[np.bool_]) -> None:
        """Add the rows of a block where `keep` (n,) is True; those are new that are not `counted` (n,)."""
        chosen = np.flatnonzero(keep & block.distinct)
        used, needed = len(self._kernel), len(self._kernel) + len(chosen)
        rank = with_room(self._rank, used, needed)
        new = chosen[~counted[chosen]]
        n_new = self._n_new + len(new)
        new_rank = with_room(self._new_rank, self._n_new, n_new)
        new_unit = with_room(self._new_unit, self._n_new, n_new)
        self._kernel.append(block.unit[chosen])  # before anything is noted: a device may be out of memory
        rank[used:needed] = block.ranks[chosen]
        new_rank[self._n_new : n_new] = block.ranks[new]
        new_unit[self._n_new : n_new] = block.unit[new]
        self._rank, self._new_rank, self._new_unit, self._n_new = rank, new_rank, new_unit, n_new
        if block.keys is not None:
            self._known.update(block.keys[at] for at in chosen.tolist())

    def near_best(self, unit: NDArray[np.float32]) -> Pairs:
        """Pairs (row, rank of a kept row) among which is the nearest kept row of each row, ties included."""
        if not len(unit) or not len(self._kernel):
            return _no_pairs()
        self.pairs += len(unit) * len(self._kernel)
        found = self._kernel.near_best(unit, 2 * self.eps)
        return Pairs(found.row, self._rank[found.column])

    def near_new(
        self, unit: NDArray[np.float32], similarity: NDArray[np.float64]
    ) -> tuple[Pairs, NDArray[np.float32]]:
        """Pairs (row, rank of a new kept row) that may be as near as `similarity` (n,), and their estimates."""
        floor = float32_below(similarity - self.eps)[:, None]
        found = [_no_pairs()]
        values = [np.empty(0, np.float32)]
        for start in range(0, self._n_new if len(unit) else 0, TILE_ROWS):
            estimates = self.cross(unit, self._new_unit[start : min(start + TILE_ROWS, self._n_new)])
            row, column = where_true(estimates >= floor)
            found.append(Pairs(row, self._new_rank[column + start]))
            values.append(estimates[row, column])
        return joined(*found), np.concatenate(values)

    def cross(self, rows: NDArray[np.float32], columns: NDArray[np.float32]) -> NDArray[np.float32]:
        """Estimates between two sets of rows, (len(rows), len(columns))."""
        self.pairs += len(rows) * len(columns)
        return self._kernel.cross(rows, columns)


def where_true(mask: NDArray[np.bool_]) -> Pairs:
    """(row, column) of each True; five times as fast as `np.nonzero` in two dimensions."""
    return Pairs(*np.divmod(np.flatnonzero(mask), mask.shape[1]))


def joined(*parts: Pairs) -> Pairs:
    """The pairs of several parts."""
    return Pairs(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _no_pairs() -> Pairs:
    return Pairs(np.empty(0, np.int64), np.empty(0, np.int64))
