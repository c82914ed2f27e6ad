"""The order in which REPR FILTER visits rows: a total order, so that no sort algorithm decides.

What belongs here: score and tie rule. What does not: what a score means.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def score_order(scores: NDArray[np.float64], ids: Sequence[str] | None = None) -> NDArray[np.int64]:
    """Rows from the greatest score to the smallest.

    Ties go by id in code-point order, or by row number without ids. (An unstable sort, as in the reference
    implementation, orders ties by accident: on integer scores nearly every position depends on it.)

    Args:
        scores: (n,) float64, all finite.
        ids: (n,) unique texts.

    Returns:
        (n,) int64 row numbers.
    """
    if ids is None:
        return np.argsort(-scores, kind="stable").astype(np.int64)
    # Python compares str by code point; numpy's text dtype ignores trailing NULs and would see ties.
    place = np.empty(len(ids), dtype=np.int64)
    place[sorted(range(len(ids)), key=ids.__getitem__)] = np.arange(len(ids))
    return np.lexsort((place, -scores)).astype(np.int64)
