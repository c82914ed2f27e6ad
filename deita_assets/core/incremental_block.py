"""The rows of one block of an incremental pass against each other.

What belongs here: which pairs inside the block can matter, and who is kept given their exact similarities. What
does not: rows kept in earlier blocks, beyond the nearest of them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.block_kernel import Pairs, float32_below
from deita_assets.core.incremental_rows import joined, where_true
from deita_assets.core.kept_rows import greatest_by_row


class Standing(NamedTuple):
    """What is known of the rows of a block before they are compared with each other; (n,) arrays.

    Attributes:
        searched: bool, the row is compared with every row; the others (*quiet*) only with new ones.
        counted: bool, as in `EarlierPass`.
        always: bool, the row is kept whatever it resembles.
        distinct: bool, as in `QuickBlock`.
        nearest: rank of its nearest row, as far as it is known; -1 if there is none. For a quiet row it may be one
            of this block.
        similarity: float64, to that row; -inf if there is none.
    """

    searched: NDArray[np.bool_]
    counted: NDArray[np.bool_]
    always: NDArray[np.bool_]
    distinct: NDArray[np.bool_]
    nearest: NDArray[np.int64]
    similarity: NDArray[np.float64]

    def may_keep(self, threshold: float) -> NDArray[np.bool_]:
        """(n,) rows that are kept unless a row of this block drops them."""
        return self.always | (self.similarity <= threshold)

    def to_compare(self, threshold: float) -> NDArray[np.int64]:
        """Rows to compare with the whole block: those searched, and those that may be new among the kept ones."""
        may_be_new = self.may_keep(threshold) & ~self.counted & self.distinct
        return np.flatnonzero(self.searched | may_be_new)


def pairs_in_block(
    standing: Standing, at: NDArray[np.int64], estimates: NDArray[np.float32], threshold: float, eps: float
) -> Pairs:
    """Pairs (row, earlier row) of a block among which are all that decide about the row, both places in the block.

    A searched row meets every earlier row that may be kept, a quiet one those that may be new. Left out are pairs
    that cannot be the nearest: those farther than the nearest row of an earlier block, or than a row of this block
    that is kept for certain because nothing that could drop it is near.

    Args:
        standing: of the n rows.
        at: (l,) `Standing.to_compare`.
        estimates: (l, n) between these and all rows.
        threshold: above which a row is dropped.
        eps: how far an estimate can be off.
    """
    place = np.arange(len(standing.searched))
    source = standing.may_keep(threshold) & standing.distinct
    to_searched = (place < at[:, None]) & source & standing.searched[at][:, None]
    new = (source & ~standing.counted)[at]
    to_quiet = (place > at[:, None]) & ~standing.searched & new[:, None]

    near = estimates >= float32_below(np.array(threshold - eps))
    unsure: NDArray[np.bool_] = np.any(to_quiet & near, axis=0)
    unsure[at] |= np.any(to_searched & near, axis=1)
    certain = source & (standing.always | ~unsure)
    best = np.where(to_searched & certain, estimates, -np.inf).max(axis=1).astype(np.float64)

    floor = float32_below(np.maximum(best - 2 * eps, standing.similarity[at] - eps))
    row, earlier = where_true(to_searched & (estimates >= floor[:, None]))
    new_row, quiet = where_true(to_quiet & (estimates >= float32_below(standing.similarity - eps)))
    return joined(Pairs(at[row], earlier), Pairs(quiet, at[new_row]))


def decide(
    standing: Standing, pairs: Pairs, similarity: NDArray[np.float64], threshold: float
) -> NDArray[np.bool_]:
    """(n,) which rows are kept, given the similarities of `pairs_in_block`, as long as quiet rows stay quiet."""
    keep = standing.may_keep(threshold)
    above = np.flatnonzero((similarity > threshold) & keep[pairs.row] & ~standing.always[pairs.row])
    above = above[np.argsort(pairs.row[above], kind="stable")]
    for row, earlier in zip(pairs.row[above].tolist(), pairs.column[above].tolist(), strict=True):
        if keep[earlier]:  # decided already: it stands before the row
            keep[row] = False
    return keep


def nearest_of(
    rank: NDArray[np.int64],
    similarity: NDArray[np.float64],
    pairs: Pairs,
    pair_similarity: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(ranks, similarities), (n,) each: the nearest row so far, or the nearest one of `pairs`; ties to the first.

    Args:
        rank: (n,) the nearest row so far, -1 if there is none.
        similarity: (n,) to that row, -inf if there is none.
        pairs: (row, rank) of the others.
        pair_similarity: (p,) of these.
    """
    rank, similarity = rank.copy(), similarity.copy()
    rows, best = greatest_by_row(pairs, pair_similarity)
    found, value = pairs.column[best], pair_similarity[best]
    nearer = (value > similarity[rows]) | ((value == similarity[rows]) & (found < rank[rows]))
    rank[rows[nearer]], similarity[rows[nearer]] = found[nearer], value[nearer]
    return rank, similarity
