"""Rows that come bit by bit, in tiles that never move.

What belongs here: storage of kept rows. What does not: what the rows mean, or how they are compared.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

#: Rows of a tile. Estimates of a block against one (block x tile) stay within a few MiB of cache.
TILE_ROWS = 4096

_Number = TypeVar("_Number", bound=np.generic)


class RowTiles(Generic[_Number]):
    """Rows (n, d) of one dtype.

    Adding copies the new rows only, where a growing array is copied and faulted in anew each time it doubles.
    Memory is that of the rows and of less than one tile.
    """

    def __init__(self, tile_rows: int = TILE_ROWS) -> None:
        self._tile_rows = tile_rows
        self._tiles: list[NDArray[_Number]] = []
        self._size = 0

    def __len__(self) -> int:
        """Number of rows added so far."""
        return self._size

    def append(self, rows: NDArray[_Number]) -> None:
        """Add rows (m, d) behind those already there."""
        added = 0
        while added < len(rows):
            used = self._size % self._tile_rows
            if not used:
                self._tiles.append(np.empty((self._tile_rows, *rows.shape[1:]), dtype=rows.dtype))
            part = rows[added : added + self._tile_rows - used]
            self._tiles[-1][used : used + len(part)] = part
            added += len(part)
            self._size += len(part)

    def tiles(self) -> list[tuple[int, NDArray[_Number]]]:
        """(place of the first row, rows) of each tile."""
        starts = range(0, self._size, self._tile_rows)
        return [(start, tile[: self._size - start]) for start, tile in zip(starts, self._tiles, strict=False)]

    def take(self, places: NDArray[np.int64]) -> NDArray[_Number]:
        """The rows at these places (p,), of which there is at least one in the store: (p, d)."""
        if len(self._tiles) == 1:
            return self._tiles[0][places]
        tile = places // self._tile_rows
        taken: NDArray[Any] = np.empty((len(places), *self._tiles[0].shape[1:]), dtype=self._tiles[0].dtype)
        for number in np.unique(tile).tolist():
            at = np.flatnonzero(tile == number)
            taken[at] = self._tiles[number][places[at] - number * self._tile_rows]
        return taken
