"""The public functions of the package, wired from the pure rules and the kernels.

What belongs here: checks of what callers hand in, and wiring. What does not: the rules themselves (`core`),
and anything that imports torch, a database or Dagster before it is used.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_assets.core.evol_score import expected_score
from deita_assets.core.ledger import Ledger
from deita_assets.core.repr_filter import GreedyPass
from deita_assets.core.score_order import score_order
from deita_assets.core.verdicts import INVALID, UNSCORED
from deita_assets.engines.kernels import kernel_on

__all__ = ["expected_score", "repr_filter"]

#: Rows checked for zeros and non-finite numbers at once.
_CHECKED_ROWS = 4096


def repr_filter(
    embeddings: ArrayLike,
    scores: ArrayLike,
    *,
    threshold: float,
    budget: int | None = None,
    ids: Sequence[str] | None = None,
    invalid: Literal["raise", "mark"] = "raise",
    device: str = "cpu",
    block_size: int | None = None,
) -> Ledger:
    """Select by REPR FILTER: best score first, dropping what is too similar to a row already kept.

    Rows are visited by descending score; a row is dropped iff its cosine similarity to some kept row is
    greater than `threshold`; the pass stops when `budget` rows are kept. The result is exact: the same rows,
    neighbours and similarities for any `device`, `block_size` and number of threads, and the selection of a
    budget is the beginning of that of any larger one. Cost: about 2 * d operations for each visited row and
    row kept before it.

    Args:
        embeddings: (n, d) float16, float32 or float64, of any length above 0; they are compared by direction.
        scores: (n,) numbers, compared as float64.
        threshold: in (-1, 1]. 1.0 drops nothing. It belongs to the embedding model: 0.9 suits the paper's.
        budget: rows to keep, at least 1; None visits every row.
        ids: (n,) unique str; ties in score go by id in code-point order, or by row number without ids.
        invalid: what to do about rows whose vector is zero or non-finite, or whose score is non-finite:
            `raise`, or `mark` them `invalid` (vector) or `unscored` (score; `invalid` if both) and leave
            them out.
        device: `cpu` uses numpy, and torch's bfloat16 where that is quicker; any other torch device, such as
            `cuda`, uses torch.
        block_size: rows compared at once; None adapts it.

    Returns:
        A `Ledger` with one entry for each row, in input order. n = 0 gives an empty one.

    Raises:
        ValueError: for arguments outside these bounds, and for invalid rows with `invalid="raise"`.
    """
    threshold = _checked_threshold(threshold)
    budget = _checked_count("budget", budget, "the number of rows to keep, at least 1, or None for no limit")
    block_size = _checked_count("block_size", block_size, "at least 1, or None to adapt it")
    if invalid not in ("raise", "mark"):
        raise ValueError(f"invalid is {invalid!r}, expected 'raise' or 'mark'")
    vectors = _ArrayVectors(_checked_embeddings(embeddings))
    n = len(vectors.array)
    scored = _checked_scores(scores, n)
    names = _checked_ids(ids, n)

    bad_vector = ~_comparable(vectors.array)
    bad_score = ~np.isfinite(scored)
    if invalid == "raise":
        _refuse(bad_vector, bad_score, scored, names)
    ranked = np.flatnonzero(~(bad_vector | bad_score))
    ranked_names = None if names is None else [names[row] for row in ranked]
    order = ranked[score_order(scored[ranked], ranked_names)]
    greedy = GreedyPass(vectors, order, threshold, kernel_on(device), block_size)
    greedy.run(budget)
    return Ledger.of_pass(
        greedy, n, {UNSCORED: np.flatnonzero(bad_score), INVALID: np.flatnonzero(bad_vector)}
    )


class _ArrayVectors:
    """Vectors that are in memory already."""

    def __init__(self, array: NDArray[np.floating[Any]]) -> None:
        self.array = array
        self.dimension = array.shape[1]

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
        return self.array[rows]


def _checked_threshold(threshold: float) -> float:
    number = isinstance(threshold, (int, float, np.integer, np.floating)) and not isinstance(threshold, bool)
    if not number or not -1 < threshold <= 1:
        raise ValueError(f"threshold is {threshold!r}, expected a cosine similarity above -1 and up to 1")
    return float(threshold)


def _checked_count(name: str, count: int | None, expected: str) -> int | None:
    if count is None:
        return None
    try:
        checked = 0 if isinstance(count, (bool, np.bool_)) else operator.index(count)
    except TypeError:
        checked = 0
    if checked < 1:
        raise ValueError(f"{name} is {count!r}, expected {expected}")
    return checked


def _checked_embeddings(embeddings: ArrayLike) -> NDArray[np.floating[Any]]:
    array = np.asarray(embeddings)
    if array.ndim >= 1 and len(array) == 0:
        return np.empty((0, array.shape[1] if array.ndim == 2 and array.shape[1] else 1))
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"embeddings have shape {array.shape}, expected (rows, dimension)")
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise ValueError(
            f"embeddings are {array.dtype}, expected float16, float32 or float64; "
            "convert them with .astype('float32')"
        )
    return array


def _checked_scores(scores: ArrayLike, n: int) -> NDArray[np.float64]:
    array = np.asarray(scores)
    if array.shape != (n,):
        raise ValueError(f"scores have shape {array.shape}, expected ({n},): one for each row of embeddings")
    if n and array.dtype.kind not in "fiu":
        raise ValueError(f"scores are {array.dtype}, expected numbers; NaN marks a missing one")
    return array.astype(np.float64)


def _checked_ids(ids: Sequence[str] | None, n: int) -> list[str] | None:
    if ids is None:
        return None
    names = list(ids)
    if len(names) != n:
        raise ValueError(f"{len(names)} ids, expected {n}: one for each row of embeddings")
    seen: set[str] = set()
    for row, name in enumerate(names):
        if not isinstance(name, str):
            raise ValueError(f"id of row {row} is {name!r}, expected str; convert ids with str()")
        if name in seen:
            raise ValueError(f"id {name!r} of row {row} occurs twice, expected unique ids")
        seen.add(name)
    return names


def _comparable(vectors: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Which rows (n,) are finite and not zero."""
    usable = np.empty(len(vectors), dtype=np.bool_)
    for start in range(0, len(vectors), _CHECKED_ROWS):
        part = vectors[start : start + _CHECKED_ROWS]
        usable[start : start + len(part)] = (
            _half_comparable(part) if part.dtype == np.float16 else _wide_comparable(part)
        )
    return usable


def _half_comparable(part: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """The same for float16 by its bits: without the sign, 0 is zero and 0x7C00 upwards is infinite or NaN.

    numpy tests float16 in software, ten times slower.
    """
    largest: NDArray[np.uint16] = (part.view(np.uint16) & 0x7FFF).max(axis=1)
    usable: NDArray[np.bool_] = (largest > 0) & (largest < 0x7C00)
    return usable


def _wide_comparable(part: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """The same by the sum of squares, one quick pass, and number by number where that over- or underflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        square = np.vecdot(part, part)
    usable: NDArray[np.bool_] = np.isfinite(square) & (square > 0)
    unclear = part[~usable]
    usable[~usable] = np.isfinite(unclear).all(axis=1) & unclear.any(axis=1)
    return usable


def _refuse(
    bad_vector: NDArray[np.bool_],
    bad_score: NDArray[np.bool_],
    scores: NDArray[np.float64],
    names: list[str] | None,
) -> None:
    """Raise if any row is invalid, naming the first ten."""
    bad = np.flatnonzero(bad_vector | bad_score)
    if not len(bad):
        return
    told = []
    for row in bad[:10].tolist():
        why = "embedding is zero or not finite" if bad_vector[row] else f"score is {scores[row]}"
        told.append(f"row {row}" + (f" (id {names[row]!r})" if names else "") + f": {why}")
    more = f"; and {len(bad) - 10} more" if len(bad) > 10 else ""
    raise ValueError(
        f"{len(bad)} of {len(scores)} rows cannot be ranked: {'; '.join(told)}{more}. Expected finite scores "
        "and finite embeddings other than zero; pass invalid='mark' to mark such rows and leave them out"
    )
