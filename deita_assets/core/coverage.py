"""How well rows cover each other, in integers, and lists of the pairs that still matter.

What belongs here: the grid of facility location, and gains read from lists. What does not: which row is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.block_kernel import with_room
from deita_assets.core.exact_products import rows_at, similarities
from deita_assets.core.similarity import ExactRows

#: Units of similarity 1. float32 holds every integer up to it.
GRID = 2.0**24
#: Entries of one tile: 4 MiB of float64.
TILE_ENTRIES = 1 << 19
#: Rows on either side of a square tile: 2 MiB of float64, and few enough for int16.
_TILE_SIDE = 512
#: Rows whose pairs are counted to guess how many there are in all.
_SAMPLE_ROWS = 256


def coverage(left: ExactRows, right: ExactRows) -> NDArray[np.float64]:
    """max(0, similarity) in units of the grid, rounded to integers (halves to even); (left rows, right rows)."""
    grid = similarities(left, right)
    grid *= GRID
    np.rint(grid, out=grid)
    return np.maximum(grid, 0.0, out=grid)


def above(tile: NDArray[np.float64], covered: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a tile of coverage adds to `covered`."""
    added = tile - covered
    return np.maximum(added, 0.0, out=added)


def tiles(n_rows: int, n_columns: int) -> list[slice]:
    """Slices of rows, so that each with all columns is one tile."""
    step = max(1, TILE_ENTRIES // max(1, n_columns))
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]


def square_tiles(n: int) -> list[slice]:
    """Slices of n rows, any two of which make one tile."""
    return [slice(start, min(start + _TILE_SIDE, n)) for start in range(0, n, _TILE_SIDE)]


def expected_pairs(rows: ExactRows, covered: NDArray[np.float64]) -> int:
    """About how many pairs lists would hold: the pairs of a sample, scaled up."""
    n = len(covered)
    sample = np.unique(np.linspace(0, n - 1, min(n, _SAMPLE_ROWS)).astype(np.int64))
    counted = 0
    for part in tiles(len(sample), n):
        counted += int((coverage(rows_at(rows, sample[part]), rows) > covered).sum())
    return counted * n // len(sample)


class _Pairs(NamedTuple):
    """Pairs of a tile that count: place of j in its strip (int16), row i (int32), coverage (float32)."""

    local: NDArray[np.int16]
    row: NDArray[np.int32]
    value: NDArray[np.float32]


def _counting(
    tile: NDArray[np.float64], covered: NDArray[np.float64]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """Where a tile (rows, columns) is above `covered`: (row, column, value)."""
    entry = np.flatnonzero(tile > covered)  # np.nonzero would take three times as long as all of this
    value = tile.ravel()[entry].astype(np.float32)
    entry = entry.astype(np.int32)
    row = entry // np.int32(tile.shape[1])
    return row, entry - row * np.int32(tile.shape[1]), value


@dataclass(frozen=True, eq=False)
class CoverageLists:
    """For each row j the rows i with coverage(i, j) > covered(i), as `covered` was when the lists were made.

    `covered` only grows, so no other row can ever count for j. A few kept rows leave one pair in ten to one in
    a hundred; summing those is far less work than n products of d numbers.

    Attributes:
        start: (n + 1,) int64; the list of row j is start[j] : start[j + 1].
        row: (p,) int32, the rows i.
        value: (p,) float32, coverage(i, j), an integer.
    """

    start: NDArray[np.int64]
    row: NDArray[np.int32]
    value: NDArray[np.float32]

    @classmethod
    def of(cls, rows: ExactRows, covered: NDArray[np.float64], expected: int) -> Self:
        """Compare every pair of rows once.

        Args:
            rows: the n rows.
            covered: (n,) in units of the grid.
            expected: about how many pairs will be listed.
        """
        strips = square_tiles(len(covered))
        pieces: list[list[_Pairs]] = [[] for _ in strips]
        start = np.zeros(len(covered) + 1, dtype=np.int64)
        row = np.empty(expected + expected // 4, dtype=np.int32)  # room that is not used is never mapped
        value = np.empty(len(row), dtype=np.float32)
        for a, here in enumerate(strips):
            for b, there in enumerate(strips[a:], a):
                tile = coverage(rows_at(rows, here), rows_at(rows, there))
                i, j, found = _counting(tile, covered[here, None])
                pieces[b].append(_Pairs(j.astype(np.int16), i + np.int32(here.start), found))
                if b > a:
                    j, i, found = _counting(tile, covered[there])
                    pieces[a].append(_Pairs(j.astype(np.int16), i + np.int32(there.start), found))
            # A strip is complete once it was compared with all others; at most a quarter of the pairs wait.
            local, its_row, its_value = (np.concatenate(part) for part in zip(*pieces[a], strict=True))
            pieces[a].clear()
            used = int(start[here.start])
            needed = used + len(local)
            start[here.start + 1 : here.stop + 1] = used + np.cumsum(
                np.bincount(local, minlength=tile.shape[0])
            )
            row, value = with_room(row, used, needed), with_room(value, used, needed)
            by_place = np.argsort(local, kind="stable")
            row[used:needed], value[used:needed] = its_row[by_place], its_value[by_place]
        return cls(start, row[:needed], value[:needed])

    def gains(self, ranks: NDArray[np.int64], covered: NDArray[np.float64]) -> NDArray[np.float64]:
        """What each of these rows would add to the sum of `covered`, (len(ranks),)."""
        length = self.start[ranks + 1] - self.start[ranks]
        begins = np.cumsum(length) - length
        entry = np.arange(int(length.sum())) + np.repeat(self.start[ranks] - begins, length)
        added = np.maximum(self.value[entry] - covered[self.row[entry]], 0.0)
        of_rank = np.repeat(np.arange(len(ranks)), length)
        return np.bincount(of_rank, weights=added, minlength=len(ranks)).astype(np.float64, copy=False)

    def cover(self, rank: int, covered: NDArray[np.float64]) -> None:
        """Raise `covered` to what this row covers."""
        entries = slice(int(self.start[rank]), int(self.start[rank + 1]))
        rows = self.row[entries]
        covered[rows] = np.maximum(covered[rows], self.value[entries])
