"""Rank statistics with intervals: agreement, order and how much of it is length.

What belongs here: arithmetic on arrays. What does not: scorers and sets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
RESAMPLES = 1_000
#: 1 - r^2 is off by 1e-15 where r is 1; where it is not, 80,000 ranks leave more than this.
_NOTHING_LEFT = 1e-14
#: A better text counts as longer or shorter from this ratio of words on.
STRATUM = 1.2


@dataclass(frozen=True)
class Interval:
    """A statistic with its 95 % bootstrap interval over groups, and the number of rows or pairs behind it."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """`.31 (.24-.38), n = 616`."""
        return f"{_short(self.value)} ({_short(self.low)} to {_short(self.high)}), n = {self.n}"


def ranks(values: ArrayLike) -> Floats:
    """Ranks from 0, ties at the mean of their places."""
    array = np.asarray(values, np.float64)
    _, where, counts = np.unique(array, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    middle: Floats = (ends - (counts + 1) / 2)[where]
    return middle


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's rank correlation; NaN where one side is constant."""
    a, b = ranks(first), ranks(second)
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale > 0 else float("nan")


def partial_spearman(first: ArrayLike, second: ArrayLike, given: ArrayLike) -> float:
    """Spearman's correlation of two rankings with the part that a third explains taken out of both.

    NaN where one side is constant, or where the third explains one of the two altogether and nothing is left of it.
    """
    ab, ac, bc = spearman(first, second), spearman(first, given), spearman(second, given)
    left = 1 - ac**2, 1 - bc**2
    if not all(share > _NOTHING_LEFT for share in left):
        return math.nan
    return (ab - ac * bc) / math.sqrt(left[0] * left[1])


def strata_of(better: Floats, worse: Floats) -> NDArray[np.intp]:
    """Per pair of word counts: 0 where the better text is over 20 % longer, 2 where over 20 % shorter, else 1."""
    ratio = (better + 1) / (worse + 1)
    return np.where(ratio > STRATUM, 0, np.where(ratio < 1 / STRATUM, 2, 1)).astype(np.intp)


def mean_of_strata(won: Floats, strata: NDArray[np.intp]) -> float:
    """Mean over the strata that occur of the mean of `won` in them: a scorer that follows length gets a half."""
    return float(np.mean([won[strata == stratum].mean() for stratum in np.unique(strata)]))


def weighted_kappa(first: Sequence[int], second: Sequence[int], n_grades: int = 6) -> float:
    """Cohen's kappa of two gradings 1..n_grades with quadratic weights (Cohen 1968)."""
    table = np.zeros((n_grades, n_grades))
    np.add.at(table, (np.asarray(first) - 1, np.asarray(second) - 1), 1.0)
    table /= table.sum()
    expected = np.outer(table.sum(axis=1), table.sum(axis=0))
    grade = np.arange(n_grades)
    cost = (grade[:, np.newaxis] - grade) ** 2
    return float(1.0 - (cost * table).sum() / (cost * expected).sum())


def bootstrap(
    statistic: Callable[[NDArray[np.intp]], float], groups: Sequence[str], *, seed: int = 0
) -> Interval:
    """A statistic with its interval, from resampling whole groups: texts of one chain are not independent.

    Args:
        statistic: the number for row indices, with repeats.
        groups: the group of each row.
        seed: of the resampling.

    Returns:
        The interval is over the resamples whose statistic is a number, and NaN where there is none.
    """
    n = len(groups)
    # Numbered by hand: a NumPy array of texts gives each of them the room of the longest.
    names = {name: at for at, name in enumerate(sorted(set(groups)))}
    where = np.array([names[group] for group in groups], np.intp)
    order = np.argsort(where, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(where))[:-1])
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(RESAMPLES):
        drawn = rng.integers(0, len(names), len(names))
        found.append(statistic(np.concatenate([members[at] for at in drawn])))
    numbers = [number for number in found if not math.isnan(number)]
    low, high = np.percentile(numbers, [2.5, 97.5]) if numbers else (math.nan, math.nan)
    return Interval(statistic(np.arange(n)), float(low), float(high), n)


def _short(value: float) -> str:
    return f"{value:.2f}".replace("0.", ".", 1)
