"""What an earlier pass found, told in the ranks of the order that is to be visited now.

What belongs here: which findings of then still say something, by order and keys alone. What does not: vectors,
thresholds, and what is kept now.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import repeat

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Nearest row of a row about which the earlier pass says nothing (any more).
UNKNOWN = -1
#: Keys looked up between two looks at whether all are found.
_SEARCHED_AT_ONCE = 4096


@dataclass(frozen=True, eq=False)
class EarlierPass:
    """Findings of an earlier pass. All arrays are (n,), over the new order; positions are ranks in it.

    Call w the `nearest` of a row r, where it has one. For each such r, if w is kept now: of w and the counted
    rows that are kept now and stand before r, none is nearer to r than w, and none as near stands before w.

    Attributes:
        counted: bool, rows of which this can be said: they were kept then, and each row with a `nearest` that
            stands behind one of them now was compared with it then.
        nearest: int64, a row that stands before this one; `UNKNOWN` where nothing is known.
        similarity: float64, similarity to that row; NaN where there is none.
    """

    counted: NDArray[np.bool_]
    nearest: NDArray[np.int64]
    similarity: NDArray[np.float64]

    def __post_init__(self) -> None:
        ranks = np.arange(len(self.nearest))
        shapes = {np.shape(getattr(self, field.name)) for field in fields(self)}
        if shapes != {ranks.shape} or not ((self.nearest >= UNKNOWN) & (self.nearest < ranks)).all():
            raise ValueError(
                f"the parts of an earlier pass have shapes {sorted(shapes)}, or a row's nearest is no rank "
                "before its own; expected three arrays over the same order"
            )
        if not np.isfinite(self.similarity[self.nearest != UNKNOWN]).all():
            raise ValueError("an earlier pass has rows with a nearest row but no similarity to it")


def earlier_pass(
    keys: Sequence[Hashable],
    visited: Sequence[Hashable],
    *,
    kept: ArrayLike,
    blocked_by: Sequence[Hashable | None],
    similarity: ArrayLike,
) -> EarlierPass:
    """Tell what an earlier pass found in the ranks of a new order.

    A key stands for a row with its vector; a row with another vector is another row, so give it another key or
    leave it out of `visited`. Rows may have come, gone, and changed places for whatever reason: only the two
    orders are looked at, not scores. The largest set of rows that are still in the same order among themselves
    is taken to have stayed (*in place*), the others to have moved up or down past some of these.

    Why `EarlierPass` holds. For a row x that was visited then, let then(x) and now(x) count the rows in place
    before it in either order. For a row in place the two are equal.

    - A row r has a nearest if it is in place or moved up: now(r) <= then(r). Its nearest w is in place or moved
      up as well, and stands before r.
    - A counted row k was kept then and is in place, or strictly moved down: now(k) > then(k).
    - If such k stands before r now, it did then: now(k) <= now(r) <= then(r). Where k moved down, then(k) <
      now(k), so then(k) < then(r). Where k is in place and r is not, k is one of the first now(r) rows in place,
      hence of the first then(r); where both are, that is what in place means. So k was compared with r, and was
      no nearer than w; as near it was kept after w.
    - A counted row k behind w then is behind w now: where k moved down, now(w) <= then(w) <= then(k) < now(k);
      where k is in place, it is not one of the first then(w) rows in place, so not of the first now(w). Hence no
      counted row that is as near as w stands before it.

    Args:
        keys: (n,) of the new order, best score first.
        visited: (m,) of the rows visited then, in the order of then.
        kept: (m,) bool, whether they were kept.
        blocked_by: (m,) keys of their nearest rows; None where there is none.
        similarity: (m,) similarity to that row; NaN or None where there is none.

    Raises:
        ValueError: for parts that do not fit together, or keys that stand for two rows.
    """
    n, m = len(keys), len(visited)
    was_kept, found = np.asarray(kept, np.bool_), np.asarray(similarity, np.float64)
    place = dict(zip(visited, range(m), strict=True))
    if len(place) != m or not was_kept.shape == found.shape == (m,) == (len(blocked_by),):
        raise ValueError(
            f"{m} rows visited ({len(place)} different) with {was_kept.shape} kept, {len(blocked_by)} blocked_by, "
            f"{found.shape} similarity; expected different rows, and one entry of each for each of them"
        )
    rank = _ranks(keys, place)
    witness = np.fromiter(map(place.get, blocked_by, repeat(UNKNOWN)), np.int64, m)  # None is no key
    witness_rank = np.where(witness >= 0, rank[witness], UNKNOWN)
    still = np.flatnonzero(rank != UNKNOWN)
    rank, witness_rank, was_kept, found = rank[still], witness_rank[still], was_kept[still], found[still]

    up, down = _moves(rank, n)
    counted = np.zeros(n, np.bool_)
    counted[rank[was_kept & ~up]] = True
    can_be_nearest = np.zeros(n + 1, np.bool_)  # the last entry is that of UNKNOWN
    can_be_nearest[rank[was_kept & ~down]] = True
    known = ~down & can_be_nearest[witness_rank] & (witness_rank < rank) & np.isfinite(found)
    nearest = np.full(n, UNKNOWN, np.int64)
    nearest[rank[known]] = witness_rank[known]
    values = np.full(n, np.nan)
    values[rank[known]] = found[known]
    return EarlierPass(counted, nearest, values)


def _ranks(keys: Sequence[Hashable], place: Mapping[Hashable, int]) -> NDArray[np.int64]:
    """(m,) rank in the new order of each row visited then, `UNKNOWN` for those that are gone.

    A row that is there but taken for gone costs comparisons and changes nothing. So the search ends when all but
    few are found, or when a stretch of twice as many rows as were visited holds but few: not every key of a large
    pool is looked at because of some that left, or fell far behind.
    """
    rank = np.full(len(place), UNKNOWN, np.int64)
    step, missing, few = max(_SEARCHED_AT_ONCE, 2 * len(place)), len(place), len(place) / 64
    for start in range(0, len(keys), step):
        stretch = keys[start : start + step]
        places = np.fromiter(map(place.get, stretch, repeat(UNKNOWN)), np.int64, len(stretch))
        found = np.flatnonzero(places >= 0)
        if (rank[places[found]] != UNKNOWN).any() or len(np.unique(places[found])) != len(found):
            raise ValueError("a key occurs twice in the new order; expected different rows")
        rank[places[found]] = start + found
        missing -= len(found)
        if missing <= few or len(found) <= few:
            break
    return rank


def _moves(rank: NDArray[np.int64], n: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(moved up, strictly moved down), (m,) each, of rows in the order of then; rows in place are neither.

    Args:
        rank: (m,) their ranks in the new order, all different.
        n: rows of the new order.
    """
    in_place = longest_ascent(rank)
    then: NDArray[np.int64] = np.cumsum(in_place) - in_place
    stands = np.zeros(n, np.int64)
    stands[rank[in_place]] = 1
    now = (np.cumsum(stands) - stands)[rank]
    return ~in_place & (now <= then), ~in_place & (now > then)


def longest_ascent(values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(m,) bool, one longest ascending subsequence of different numbers (patience sorting)."""
    numbers = values.tolist()
    ends: list[int] = []  # ends[k]: the smallest number that ends an ascent of k + 1 numbers
    end_at: list[int] = []  # where each of these stands
    before: list[int] = []  # for each number, where its predecessor in such an ascent stands
    for at, number in enumerate(numbers):
        if not ends or number > ends[-1]:  # nearly always
            before.append(end_at[-1] if end_at else -1)
            ends.append(number)
            end_at.append(at)
            continue
        place = bisect_left(ends, number)
        before.append(end_at[place - 1] if place else -1)
        ends[place], end_at[place] = number, at
    chosen = np.zeros(len(numbers), np.bool_)
    at = end_at[-1] if end_at else -1
    while at >= 0:
        chosen[at] = True
        at = before[at]
    return chosen
