"""Where each row of a map stands: a projection of the stored vectors to two dimensions, and each row's neighbours.

What belongs here: geometry. What does not: what a map shows of a row (atlas), how it is drawn (atlas_picture).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.exact_products import float64_rows, rows_at, similarities
from deita_assets.core.similarity import exact_rows

#: Neighbours of each row.
NEIGHBOURS = 10
#: Seed of UMAP's optimisation.
SEED = 0
#: Numbers of one block of similarities: 64 MB of float64.
_BLOCK_NUMBERS = 1 << 23
#: Decimals of a coordinate. BLAS may add up in another order on another machine; the picture stays the same.
_DECIMALS = 4

METHODS = ("pca", "umap")


@dataclass(frozen=True)
class Layout:
    """Places and neighbours of n rows.

    Attributes:
        xy: (n, 2) float32.
        neighbours: (n, k) int32, row numbers, nearest first; equal similarities by row number.
        similarity: (n, k) float64, cosine similarity to them.
        method: `pca` or `umap`.
        explained: share of the variance that the two axes of `pca` hold; None for `umap`, whose axes mean nothing.
    """

    xy: NDArray[np.float32]
    neighbours: NDArray[np.int32]
    similarity: NDArray[np.float64]
    method: str
    explained: float | None


def best_method() -> str:
    """`umap` where umap-learn is installed (extra `atlas`), else `pca`."""
    return "umap" if importlib.util.find_spec("umap") else "pca"


def lay_out(
    vectors: NDArray[np.float16], method: str, on_rows: Callable[[int], None] = lambda rows: None
) -> Layout:
    """Place rows by their vectors; equal vectors and method give equal places.

    Args:
        vectors: (n, d) stored vectors, finite and not zero.
        method: `pca` or `umap`.
        on_rows: told how many rows have their neighbours so far.
    """
    neighbours, similarity = nearest(vectors, NEIGHBOURS, on_rows)
    xy, explained = principal_axes(vectors)
    if method == "umap" and len(vectors) > NEIGHBOURS + 1:
        return Layout(_umap(vectors, xy, neighbours, similarity), neighbours, similarity, "umap", None)
    return Layout(xy, neighbours, similarity, "pca", explained)


def nearest(
    vectors: NDArray[np.float16], k: int, on_rows: Callable[[int], None] = lambda rows: None
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The k most similar other rows of each row, exactly, by the definition in `core.similarity`.

    Args:
        vectors: (n, d) stored vectors.
        k: neighbours wanted; n - 1 when there are no more.
        on_rows: told how many rows are done.

    Returns:
        (row numbers (n, k) int32, similarities (n, k) float64), most similar first, ties by row number.
    """
    n = len(vectors)
    k = max(0, min(k, n - 1))
    found, similarity = np.empty((n, k), np.int32), np.empty((n, k), np.float64)
    if not k:
        return found, similarity
    rows = float64_rows(exact_rows(vectors, np.arange(n)))
    step = max(1, _BLOCK_NUMBERS // n)
    for start in range(0, n, step):
        stop = min(start + step, n)
        block = similarities(rows_at(rows, slice(start, stop)), rows)
        block[np.arange(stop - start), np.arange(start, stop)] = -np.inf  # no row is its own neighbour
        least = np.partition(block, n - k, axis=1)[:, n - k]
        for at, row in enumerate(block):
            near = np.flatnonzero(row >= least[at])
            best = near[np.argsort(-row[near], kind="stable")[:k]]
            found[start + at], similarity[start + at] = best, row[best]
        on_rows(stop)
    return found, similarity


def principal_axes(vectors: NDArray[np.float16]) -> tuple[NDArray[np.float32], float]:
    """Coordinates along the two directions of greatest variance, (n, 2), and the share of the variance they hold.

    The sign of a direction is arbitrary; its largest component is made positive.
    """
    if not len(vectors):
        return np.empty((0, 2), np.float32), 0.0
    mean = vectors.mean(axis=0, dtype=np.float64)
    scatter = np.zeros((vectors.shape[1],) * 2)
    for start in range(0, len(vectors), 4096):  # the float64 copy of all rows would be four times the table
        part = vectors[start : start + 4096] - mean
        scatter += part.T @ part
    variance, directions = np.linalg.eigh(scatter)  # ascending
    axes = directions[:, ::-1][:, :2]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    places = np.concatenate(
        [(vectors[start : start + 4096] - mean) @ axes for start in range(0, len(vectors), 4096)]
    )
    xy = np.zeros((len(vectors), 2), np.float32)
    xy[:, : axes.shape[1]] = np.round(places, _DECIMALS)
    total = float(variance.sum())
    return xy, float(variance[::-1][:2].sum() / total) if total > 0 else 0.0


def _umap(
    vectors: NDArray[np.float16],
    start: NDArray[np.float32],
    neighbours: NDArray[np.int32],
    similarity: NDArray[np.float64],
) -> NDArray[np.float32]:
    """UMAP over the exact neighbours, begun at the principal axes; one thread, because more of them race."""
    import warnings

    import umap  # type: ignore[import-not-found, unused-ignore]

    n = len(vectors)
    own = np.arange(n, dtype=np.int32)[:, None]
    indices = np.concatenate([own, neighbours], axis=1)
    distances = np.concatenate([np.zeros((n, 1)), 1 - similarity], axis=1).clip(0).astype(np.float32)
    spread = (
        start / max(float(np.abs(start).max()), 1e-12) * 10
    )  # the size that UMAP gives its own beginnings
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # that one thread is used, and that new rows could not be placed later
        model = umap.UMAP(
            n_neighbors=indices.shape[1], metric="cosine", random_state=SEED, n_jobs=1,
            init=spread.astype(np.float32), precomputed_knn=(indices, distances, None),
        )  # fmt: skip
        placed = model.fit_transform(vectors.astype(np.float32))
    rounded: NDArray[np.float32] = np.round(placed, _DECIMALS).astype(np.float32)
    return rounded
