"""Float32 estimates of similarity between a block of rows and all kept rows.

What belongs here: the protocol of such a kernel, and the one that runs on numpy's BLAS. What does not: any
decision. Estimates may differ between kernels within `float32_error_bound`; the greedy pass settles the rest.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.row_tiles import TILE_ROWS, RowTiles


class Pairs(NamedTuple):
    """Pairs (row of a block, column = place of a kept row in the order of `append`), in no set order.

    Attributes:
        row: (p,) int64.
        column: (p,) int64.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]


class BlockKernel(Protocol):
    """Holds kept rows on its device and compares blocks with them, in full float32 arithmetic.

    Rows come in and results go out as numpy arrays on the host; rows are float32 of length 1.
    """

    def __len__(self) -> int:
        """Number of rows appended so far."""
        ...

    def append(self, rows: NDArray[np.float32]) -> None:
        """Add kept rows (n, d) behind those already there."""
        ...

    def near_best(self, block: NDArray[np.float32], margin: float) -> Pairs:
        """All pairs whose estimate is within `margin` of the row's greatest estimate.

        Args:
            block: (n, d) rows to compare with all kept rows, of which there is at least one.
            margin: at least 0; more pairs than asked for do no harm, a missing one does.
        """
        ...

    def cross(self, rows: NDArray[np.float32], columns: NDArray[np.float32]) -> NDArray[np.float32]:
        """Estimates between two sets of rows, (len(rows), len(columns))."""
        ...


def float32_below(floor: NDArray[np.floating]) -> NDArray[np.float32]:
    """Floors as float32, never raised by the rounding."""
    return np.nextafter(floor.astype(np.float32), np.float32(-np.inf))


def with_room(array: NDArray[Any], used: int, needed: int) -> NDArray[Any]:
    """The array itself, or a larger one with its first `used` entries, that holds `needed` entries.

    It at least doubles, so that n appends copy O(n) entries in all.
    """
    if needed <= len(array):
        return array
    grown = np.empty((max(1024, needed, 2 * len(array)), *array.shape[1:]), dtype=array.dtype)
    grown[:used] = array[:used]
    return grown


class NumpyKernel:
    """`BlockKernel` on the CPU. Memory: 4 * d bytes for each kept row."""

    def __init__(self, tile_rows: int = TILE_ROWS) -> None:
        """Start empty; `tile_rows` kept rows are compared at once."""
        self.tile_rows = tile_rows
        self._rows: RowTiles[np.float32] = RowTiles(tile_rows)
        self._workspace = np.empty(0, dtype=np.float32)

    def __len__(self) -> int:
        """Number of rows appended so far."""
        return len(self._rows)

    def append(self, rows: NDArray[np.float32]) -> None:
        """Add kept rows (n, d) behind those already there."""
        self._rows.append(rows)

    def near_best(self, block: NDArray[np.float32], margin: float) -> Pairs:
        """All pairs whose estimate is within `margin` of the row's greatest estimate."""
        best = np.full(len(block), -np.inf, dtype=np.float32)
        found: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []
        for start, kept in self._rows.tiles():
            estimates = self._tile(block, kept)
            top_column = estimates.argmax(axis=1)
            np.maximum(best, np.take_along_axis(estimates, top_column[:, None], axis=1)[:, 0], out=best)
            row, column, value = _at_least(estimates, top_column, float32_below(best.astype(float) - margin))
            found.append((row, column + start, value))
        row, column, value = (np.concatenate(part) for part in zip(*found, strict=True))
        # `best` has grown since the first tiles were searched.
        near = value >= float32_below(best.astype(float) - margin)[row]
        return Pairs(row[near], column[near])

    def cross(self, rows: NDArray[np.float32], columns: NDArray[np.float32]) -> NDArray[np.float32]:
        """Estimates between two sets of rows, (len(rows), len(columns))."""
        return rows @ columns.T

    def tiles(self) -> list[tuple[int, NDArray[np.float32]]]:
        """(place of the first, rows) of each tile of kept rows."""
        return self._rows.tiles()

    def pairs(
        self, block: NDArray[np.float32], row: NDArray[np.int64], column: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Estimates of single pairs, (p,): row of the block, place of the kept row."""
        estimates: NDArray[np.float32] = np.vecdot(block[row], self._rows.take(column))
        return estimates

    def _tile(self, block: NDArray[np.float32], kept: NDArray[np.float32]) -> NDArray[np.float32]:
        """Estimates against a tile of kept rows; valid until the next call."""
        count = len(block) * len(kept)
        if count > len(self._workspace):
            self._workspace = np.empty(len(block) * self.tile_rows, dtype=np.float32)
        # One workspace: a fresh array of this size would be mapped and cleared page by page for every tile.
        estimates = self._workspace[:count].reshape(len(block), len(kept))
        return np.matmul(block, kept.T, out=estimates)


def _at_least(
    estimates: NDArray[np.float32], top_column: NDArray[np.int64], floor: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """(row, column, estimate) wherever estimate >= floor[row]; overwrites the greatest of each row.

    Two plain maxima cost a few per cent of the product; testing every estimate against its floor costs more
    than that, so it is done only for the few rows whose second greatest passes too.
    """
    every = np.arange(len(estimates))
    top = estimates[every, top_column]
    estimates[every, top_column] = -np.inf
    alone = np.flatnonzero(top >= floor)
    crowded = np.flatnonzero(estimates.max(axis=1) >= floor)
    row, column = np.nonzero(estimates[crowded] >= floor[crowded, None])
    row = crowded[row]
    return (
        np.concatenate((alone, row)),
        np.concatenate((top_column[alone], column)),
        np.concatenate((top[alone], estimates[row, column])),
    )
