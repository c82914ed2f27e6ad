"""Rows of closed groups, which a pass visits without comparing them.

What belongs here: leaving such rows out of a block, and putting them back among its decisions. What does not:
when a group is closed (`quotas`), or what becomes of the other rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.kept_rows import Neighbours
from deita_assets.core.quotas import Quotas

#: Rows looked at for each row to compare.
_PASSED_ROWS = 16


def next_open(
    quotas: Quotas | None, order: NDArray[np.int64], visited: int, count: int, frozen: int
) -> tuple[int, NDArray[np.int64]]:
    """(end of the next ranks from `visited` on, those of them to compare, `count` at most).

    Rows of groups that are closed by now are left out, as closed groups stay closed; the first `frozen` ranks
    never are.
    """
    if quotas is None:
        end = min(visited + count, len(order))
        return end, np.arange(visited, end)
    seen = np.arange(visited, min(visited + _PASSED_ROWS * count, len(order)))
    compared = seen[(seen < frozen) | ~quotas.closed(order[seen])]
    if len(compared) <= count:
        return int(seen[-1]) + 1, compared
    return int(compared[count]), compared[:count]


def among_closed(
    n: int,
    at: NDArray[np.int64],
    keep: NDArray[np.bool_],
    nearest: Neighbours,
    over_quota: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], Neighbours, NDArray[np.bool_]]:
    """What was decided about the rows `at` (m,) out of `n` rows, for all n; the others are over quota too.

    Args:
        n: number of rows.
        at: places of the rows that were compared.
        keep: (m,) whether they are kept.
        nearest: of m rows.
        over_quota: (m,) whether their group closed within the block.

    Returns:
        (n,) kept, nearest rows of n rows, (n,) over quota.
    """
    all_keep = np.zeros(n, dtype=np.bool_)
    all_nearest = Neighbours(np.full(n, -np.inf), np.full(n, -1, dtype=np.int64))
    all_over = np.ones(n, dtype=np.bool_)
    all_keep[at] = keep
    all_nearest.similarity[at], all_nearest.rank_index[at] = nearest
    all_over[at] = over_quota
    return all_keep, all_nearest, all_over
