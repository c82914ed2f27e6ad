"""What "similarity" means: one exact definition, and how far a float32 estimate of it can be off.

What belongs here: the cosine of two stored vectors as a number that does not depend on the machine, and the
error bound that lets a fast estimate stand in for it. What does not: which rows are compared, or on what
device.

The definition. For stored vectors x and y (float16, float32 or float64),

    similarity(x, y) = fsum(x_i * y_i) / sqrt(fsum(x_i * x_i) * fsum(y_i * y_i)),   clamped to [-1, 1]

with products, product of sums, root and quotient in float64 and `fsum` the correctly rounded sum of its terms
(`math.fsum`). A correctly rounded sum is one number whatever the order of its terms, so neither block size
nor threads, BLAS or device can move it; equal vectors have similarity exactly 1.0, because sqrt(s * s) == s
in IEEE arithmetic. A float64 vector whose largest magnitude lies outside 2**-200 .. 2**200 is first
multiplied by the power of two that brings it into [0.5, 1), so that no square overflows and no norm vanishes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

#: Numbers that one pass of `_correctly_rounded_dots` works on: four float64 arrays of this size fit a 1 MiB
#: L2.
_PASS_ELEMENTS = 1 << 15
#: Unit roundoff of float32.
_U32 = 2.0**-24
#: Above this `float32_error_bound` is larger than 0.06 and says nothing useful.
_MAX_DIMENSION = 1 << 20


def float32_error_bound(dimension: int) -> float:
    """Greatest distance of a float32 estimate from `similarity`, for any order of summation.

    The estimate is a float32 dot product of two rows that were divided by their norm in float64 and then
    rounded to float32. With u = 2**-24, d = dimension, g(k) = k*u / (1 - k*u), and a, b the exact unit
    vectors:

    1. Normalising: each stored component is a_i * (1 + e), |e| <= u + 2**-50: the cast to float32, and a few
       float64 roundings in norm and quotient. So the two rows together contribute (1 + u + 2**-50)**2 <= 1 +
       g(3). That a float64 input is cast only here, after the division, is why it needs no term of its own.
    2. Summing: d products and d - 1 additions in float32, in any order, fused or not, err by at most
       g(d) * sum |a_i b_i| (1 + g(3)), and sum |a_i b_i| <= 1 by Cauchy-Schwarz.
    3. Both together: (1 + g(d)) (1 + g(3)) - 1 <= g(d + 3).
    4. The definition itself is rounded: at most 8 * 2**-53 from the exact cosine (sums, products, root,
       quotient; two more for float64 inputs, whose products are rounded). Components and products that are
       subnormal, or flushed to zero, add less than 3 * d * 2**-126. Both are far below u.

    Hence the bound g(d + 4). It takes float32 arithmetic at its word: TF32 or bfloat16 products break it.

    Raises:
        ValueError: for a dimension outside 1 .. 2**20.
    """
    if not 1 <= dimension <= _MAX_DIMENSION:
        raise ValueError(f"embedding dimension is {dimension}, expected 1 to {_MAX_DIMENSION}")
    k = dimension + 4
    return k * _U32 / (1 - k * _U32)


@dataclass(frozen=True, eq=False)
class ExactRows:
    """Rows with everything the definition needs.

    Attributes:
        values: (n, d), float16, float32 or float64; the stored numbers.
        square: (n,) float64, fsum(x_i * x_i).
        weight: (n,) int64; the sum of squares is below 2**weight, with room for rounding.
        stored: dtype in which the rows came, whatever the dtype of `values` now.
    """

    values: NDArray[np.floating]
    square: NDArray[np.float64]
    weight: NDArray[np.int64]
    stored: np.dtype[np.floating]

    def unit_float32(self) -> NDArray[np.float32]:
        """The rows at length 1, (n, d) float32, rounded once; see `float32_error_bound`."""
        norm = np.sqrt(self.square)[:, None]
        unit: NDArray[np.float32] = (self.values.astype(np.float64, copy=False) / norm).astype(np.float32)
        return unit


def exact_rows(stored: NDArray[np.floating], row_numbers: NDArray[np.int64]) -> ExactRows:
    """Prepare stored rows (n, d) for comparison; `values` of the result is float64.

    Args:
        stored: float16, float32 or float64.
        row_numbers: (n,), what an error calls the rows.

    Raises:
        ValueError: for a zero or non-finite row, which has no direction.
    """
    stored_dtype: np.dtype[np.floating] = stored.dtype.newbyteorder("=")
    values = stored.astype(np.float64)
    if stored.dtype.itemsize == 8:
        values = _brought_into_range(values)
    with np.errstate(over="ignore", invalid="ignore"):
        rough = np.vecdot(values, values)
    bad = ~((rough > 0) & np.isfinite(rough))
    if bad.any():
        raise ValueError(
            f"embeddings of rows {row_numbers[bad][:10].tolist()} are zero or not finite, expected "
            "vectors with a direction; leave these rows out of the order"
        )
    # 2**-20 covers the rounding of `rough`, which is below d * 2**-53.
    weight = np.frexp(rough * (1 + 2.0**-20))[1].astype(np.int64)
    rows = ExactRows(values, rough, weight, stored_dtype)
    return replace(rows, square=_dots(rows, None, rows, None))


def exact_similarity(
    left: ExactRows, left_index: NDArray[np.int64], right: ExactRows, right_index: NDArray[np.int64] | None
) -> NDArray[np.float64]:
    """`similarity` of the pairs (left[left_index[p]], right[right_index[p]]), float64 (p,).

    `right_index` None stands for 0 .. p - 1, and saves a copy.
    """
    dots = _dots(left, left_index, right, right_index)
    right_square = right.square if right_index is None else right.square[right_index]
    scale = np.sqrt(left.square[left_index] * right_square)
    return np.clip(dots / scale, -1.0, 1.0) + 0.0  # one zero: -0.0 would print differently


def direction_keys(rows: ExactRows) -> list[bytes]:
    """One sha256 for each row, equal for rows that are equal, or, in float16 and float32, equal up to a power of two.

    Such rows have the same similarity to everything: squares and products of float32 numbers, subnormal ones too,
    are normal float64 numbers, so that a power of two goes through them without rounding. Products of float64
    numbers may vanish at one scale and not at another.
    """
    if rows.stored.itemsize == 8:
        return [hashlib.sha256(row.tobytes()).digest() for row in rows.values + 0.0]
    exponent = np.frexp(np.abs(rows.values).max(axis=1))[1]
    canonical = np.ldexp(rows.values.astype(np.float64), -exponent[:, None]) + 0.0  # -0.0 + 0.0 == 0.0
    return [hashlib.sha256(row.tobytes()).digest() for row in canonical]


def _brought_into_range(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale float64 rows of extreme magnitude by a power of two (see the module docstring)."""
    largest = np.abs(values).max(axis=1)
    extreme = (largest < 2.0**-200) | (largest > 2.0**200)
    if extreme.any():
        exponent = np.frexp(largest[extreme])[1]
        values[extreme] = np.ldexp(values[extreme], -exponent[:, None])
    return values


def _dots(
    left: ExactRows,
    left_index: NDArray[np.int64] | None,
    right: ExactRows,
    right_index: NDArray[np.int64] | None,
) -> NDArray[np.float64]:
    """fsum(x_i * y_i) for each pair of rows, (p,) float64; no index stands for every row in turn."""
    left_weight = left.weight if left_index is None else left.weight[left_index]
    right_weight = right.weight if right_index is None else right.weight[right_index]
    # By Cauchy-Schwarz sum |x_i y_i| < 2**exponent.
    exponent = (left_weight + right_weight + 1) >> 1
    dots = np.empty(len(exponent))
    # Products of float16 numbers are multiples of 2**-48. While sum |x_i y_i| < 2**5, every partial sum in
    # every order is such a multiple below 2**53 units, which float64 holds exactly: a plain dot product IS
    # fsum.
    both_half = left.stored.itemsize == 2 and right.stored.itemsize == 2
    plain = both_half and bool((exponent <= 5).all())
    for part in _passes(len(dots), left.values.shape[1]):
        x = left.values[part if left_index is None else left_index[part]].astype(np.float64, copy=False)
        y = right.values[part if right_index is None else right_index[part]].astype(np.float64, copy=False)
        dots[part] = np.vecdot(x, y) if plain else _correctly_rounded_dots(x, y, exponent[part])
    return dots


def _passes(count: int, dimension: int) -> Iterator[slice]:
    step = max(1, _PASS_ELEMENTS // dimension)
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def _correctly_rounded_dots(
    x: NDArray[np.float64], y: NDArray[np.float64], exponent: NDArray[np.int64]
) -> NDArray[np.float64]:
    """fsum(x_i * y_i) by rows, where sum |x_i y_i| < 2**exponent; whole arrays instead of `math.fsum`.

    Each product is cut at the grid 2**(exponent - 52) (Rump's ExtractVector): p = q + r without error. The q
    are multiples of the grid whose sums stay below 2**53 units, hence are exact in any order. The r are at
    most one unit each, so their float64 sum errs by less than d**2 * 2**(exponent - 105). high + low is then
    the sum up to `slack`, and where low and slack together stay within half the gap around `high`, it is the
    rounded sum. The rest, about one in 2**20 for dense rows, goes to `math.fsum`.
    """
    ones = np.ones(x.shape[1])
    sigma = np.ldexp(1.0, exponent + 1)[:, None]
    r = x * y
    q = r + sigma
    q -= sigma
    r -= q
    on_grid, rest = q @ ones, r @ ones
    high = on_grid + rest
    back = high - on_grid
    low = (on_grid - (high - back)) + (rest - back)  # Knuth's TwoSum: high + low == on_grid + rest
    slack = np.ldexp(4.0 * x.shape[1] ** 2, exponent - 105)
    half_gap = (np.abs(high) - np.nextafter(np.abs(high), -1.0)) / 2
    for row in np.flatnonzero(np.abs(low) + slack >= half_gap):
        high[row] = math.fsum((x[row] * y[row]).tolist()) if r[row].any() else on_grid[row]
    return high
