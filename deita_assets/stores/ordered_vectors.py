"""Stored vectors in the order in which a pass asks for them, read from Lance a stretch at a time.

A pass goes down an order and stops when its budget is full, so most of a large pool is never read. Stretches are taken
by row id; once a quarter of the rows has been read, the rest is read in one scan, because a taken row costs six times
as much as a scanned one (10 us against 1.7 us, 384 numbers in 50 fragments). What was read is held, since passes come
back to rows that they kept, but no more than `HELD_BYTES` of it: the oldest stretches go first, and are taken again if
they are asked for.

What belongs here: which vectors are held, and when they are read. What does not: what they are compared with.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deita_assets.errors import StoreError
from deita_assets.stores.vectors import EmbeddingTable, comparable

#: Rows of one stretch; a smaller one pays the fixed price of a take (about 7 ms) too often.
STRETCH_ROWS = 4096
#: Share of the rows taken one stretch at a time before the rest is scanned.
SCAN_AFTER = 0.25
#: Vectors held at once, and the most that a scan may add: a pool of 300,000 x 4,096 numbers has 2.4 GB of them.
HELD_BYTES = 1 << 30


class OrderedVectors:
    """Vectors of the rows of one scope, by row number; `VectorSource` of a pass.

    Attributes:
        name: of the table.
        dimension: length of a vector.
        missing: (n,) bool, rows that have no stored vector.
    """

    def __init__(self, table: EmbeddingTable, contents: Sequence[str]) -> None:
        """Look up which rows have a vector; none is read yet.

        Args:
            table: where they are; what is inserted from now on is not seen.
            contents: content_sha256 of each row.
        """
        self.name, self.dimension = table.name, table.dimension
        self._table, self._contents = table, contents
        self._row_ids = table.row_ids(contents)
        self.missing: NDArray[np.bool_] = self._row_ids < 0
        self._order: NDArray[np.int64] = np.empty(0, np.int64)
        self._place = np.full(len(contents), -1, np.int64)
        self._frontier = 0
        self._n_read = 0
        self._stretches: dict[int, NDArray[np.float16]] = {}
        self._stretch = np.full(len(contents), -1, np.int64)
        self._offset = np.zeros(len(contents), np.int64)

    def follow(self, order: NDArray[np.int64]) -> None:
        """Say in which order rows will be asked for, so that whole stretches can be read ahead."""
        self._order, self._frontier = order, 0
        self._place.fill(-1)
        self._place[order] = np.arange(len(order))

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """Vectors of these rows, (len(rows), dimension).

        Raises:
            StoreError: some are gone, or damaged so that nothing can be compared with them.
        """
        missing = rows[self._stretch[rows] < 0]
        if len(missing):
            self._read(np.unique(missing), rows)
        vectors = np.empty((len(rows), self.dimension), np.float16)
        for number in np.unique(self._stretch[rows]).tolist():
            here = np.flatnonzero(self._stretch[rows] == number)
            vectors[here] = self._stretches[number][self._offset[rows[here]]]
        self._refuse_damaged(rows, vectors)
        return vectors

    def _read(self, missing: NDArray[np.int64], wanted: NDArray[np.int64]) -> None:
        """Read these rows, and ahead of them what will be asked for next."""
        lost = np.flatnonzero(self._row_ids[missing] < 0)
        if len(lost):
            raise StoreError(
                f"{len(lost)} vectors of {self.name} are gone, {self._contents[missing[lost[0]]]} among them.",
                cure="Materialise `embeddings` again.",
            )
        start = int(self._place[missing].max()) + 1
        scanned = False
        if start > self._frontier:
            rest = self._order[start:]
            scanned = self._n_read > SCAN_AFTER * len(self._order) and self._bytes(len(rest)) <= HELD_BYTES
            ahead = rest if scanned else rest[: max(0, STRETCH_ROWS - len(missing))]
            self._frontier = start + len(ahead)
            missing = np.union1d(missing, ahead[(self._stretch[ahead] < 0) & (self._row_ids[ahead] >= 0)])
        if scanned:
            vectors = self._table.load(self._contents[row] for row in missing)[0]
        else:
            vectors = self._table.take(self._row_ids[missing])
        self._hold(missing, vectors, wanted)

    def _hold(self, rows: NDArray[np.int64], vectors: NDArray[np.float16], wanted: NDArray[np.int64]) -> None:
        """Add a stretch, and let the oldest ones go that hold nothing wanted now."""
        self._n_read += len(rows)
        number = self._n_read  # grows with every stretch
        self._stretches[number] = vectors
        self._stretch[rows], self._offset[rows] = number, np.arange(len(rows))
        needed = set(np.unique(self._stretch[wanted]).tolist())
        held = sum(map(len, self._stretches.values()))
        for old in [old for old in self._stretches if old not in needed]:
            if self._bytes(held) <= HELD_BYTES:
                return
            held -= len(self._stretches.pop(old))
            self._stretch[self._stretch == old] = -1

    def _bytes(self, n_rows: int) -> int:
        return n_rows * self.dimension * 2

    def _refuse_damaged(self, rows: NDArray[np.int64], vectors: NDArray[np.float16]) -> None:
        damaged = rows[~comparable(vectors)]
        if len(damaged):
            raise StoreError(
                f"{len(damaged)} vectors of {self.name} are zero or not finite, that of content "
                f"{self._contents[damaged[0]]} among them; no embedder wrote them so.",
                cure="The table was damaged. Delete its folder below lance/ and materialise `embeddings` again.",
            )
