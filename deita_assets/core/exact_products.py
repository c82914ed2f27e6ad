"""Exact similarities of whole sets of rows at once, as matrix products.

What belongs here: many rows against many, every entry by the definition in `similarity`. What does not: that
definition, and float32 estimates (`block_kernel`); nothing here is estimated.

Why a plain matrix product may be exact. Stored float16 vectors are multiples of 2**-24, so their products are
multiples of 2**-48. While sum |x_i y_i| < 2**5, which Cauchy-Schwarz gives for vectors of about unit length,
every partial sum in every order is such a multiple below 2**53 units, and float64 holds it exactly: neither
BLAS nor threads nor the order of summation can move the product. Any other rows go pair by pair through
`exact_similarity`: the same numbers, some twenty times slower.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.block_kernel import with_room
from deita_assets.core.similarity import ExactRows, exact_rows, exact_similarity

if TYPE_CHECKING:
    from deita_assets.core.repr_filter import VectorSource

#: Rows taken from a vector source at once.
_TAKEN_ROWS = 1024
#: Pairs that the slow route lists at once: two int64 and three float64 arrays of this length.
_LISTED_PAIRS = 1 << 20


def rows_at(rows: ExactRows, index: NDArray[np.int64] | slice) -> ExactRows:
    """Some of the rows."""
    return ExactRows(rows.values[index], rows.square[index], rows.weight[index], rows.stored)


def float64_rows(rows: ExactRows) -> ExactRows:
    """The same rows with float64 values, which a product need not convert each time."""
    return ExactRows(rows.values.astype(np.float64, copy=False), rows.square, rows.weight, rows.stored)


def take_all(vectors: VectorSource, order: NDArray[np.int64]) -> ExactRows:
    """All rows of an order, prepared; values of float16 rows are float32, others keep their dtype.

    Raises:
        ValueError: the source breaks its contract, or a row has no direction.
    """
    values, square, weight = None, np.empty(len(order)), np.empty(len(order), dtype=np.int64)
    stored = np.dtype(np.float32)
    for start in range(0, len(order), _TAKEN_ROWS):
        numbers = order[start : start + _TAKEN_ROWS]
        taken = np.asarray(vectors.take(numbers))
        expected = (len(numbers), vectors.dimension)
        if taken.shape != expected or taken.dtype.kind != "f" or taken.dtype.itemsize > 8:
            raise ValueError(
                f"the vector source gave {taken.dtype} {taken.shape}, "
                f"expected float16, float32 or float64 {expected}"
            )
        if values is None:
            stored = taken.dtype.newbyteorder("=")
            # float16 is exact in float32, which becomes float64 ten times faster.
            held = np.promote_types(stored, np.float32)
            values = np.empty((len(order), vectors.dimension), dtype=held)
        elif taken.dtype.newbyteorder("=") != stored:
            raise ValueError(f"the vector source gave {taken.dtype} after {stored}, expected one dtype")
        here = slice(start, start + len(numbers))
        rows = exact_rows(taken, numbers)
        values[here], square[here], weight[here] = rows.values, rows.square, rows.weight
    if values is None:
        values = np.empty((0, vectors.dimension), dtype=np.float32)
    return ExactRows(values, square, weight, stored)


def similarities(left: ExactRows, right: ExactRows) -> NDArray[np.float64]:
    """`similarity` of every left row with every right row, float64 (len(left), len(right))."""
    if not _plain_product_is_exact(left, right):
        return _pair_by_pair(left, right)
    x = left.values.astype(np.float64, copy=False)
    y = right.values.astype(np.float64, copy=False)
    dots: NDArray[np.float64] = x @ y.T
    scale = np.multiply.outer(left.square, right.square)
    np.sqrt(scale, out=scale)
    dots /= scale
    np.clip(dots, -1.0, 1.0, out=dots)
    dots += 0.0  # one zero, as in `exact_similarity`
    return dots


class GrowingRows:
    """Rows in the order in which they were added, float64. Memory: 8 * d bytes each, at most twice that."""

    def __init__(self) -> None:
        self._rows: ExactRows | None = None
        self._size = 0

    def __len__(self) -> int:
        """Number of rows."""
        return self._size

    def append(self, rows: ExactRows) -> None:
        """Add rows behind those already there."""
        used, needed = self._size, self._size + len(rows.square)
        held = self._rows or float64_rows(rows_at(rows, slice(0, 0)))
        held = ExactRows(
            with_room(held.values, used, needed),
            with_room(held.square, used, needed),
            with_room(held.weight, used, needed),
            held.stored,
        )
        held.values[used:needed] = rows.values
        held.square[used:needed] = rows.square
        held.weight[used:needed] = rows.weight
        self._rows, self._size = held, needed

    def between(self, start: int, stop: int) -> ExactRows:
        """The rows at these places; at least one row was added."""
        if self._rows is None:
            raise ValueError("no rows were added yet")
        return rows_at(self._rows, slice(start, min(stop, self._size)))


def _plain_product_is_exact(left: ExactRows, right: ExactRows) -> bool:
    """Whether sum |x_i y_i| < 2**5 for every pair of float16 rows (see the module docstring)."""
    if left.stored.itemsize != 2 or right.stored.itemsize != 2:
        return False
    if not len(left.weight) or not len(right.weight):
        return True
    return int(left.weight.max() + right.weight.max() + 1) >> 1 <= 5


def _pair_by_pair(left: ExactRows, right: ExactRows) -> NDArray[np.float64]:
    n, m = len(left.square), len(right.square)
    result = np.empty((n, m))
    columns = np.arange(m)
    step = max(1, _LISTED_PAIRS // max(1, m))
    for start in range(0, n, step):
        rows = np.arange(start, min(start + step, n))
        pairs = exact_similarity(left, np.repeat(rows, m), right, np.tile(columns, len(rows)))
        result[start : start + len(rows)] = pairs.reshape(len(rows), m)
    return result
