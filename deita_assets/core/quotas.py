"""Quotas: how many rows of a group (a source) a selection may hold, and how many it gets at least.

What belongs here: which groups are closed to further rows, given what is kept. What does not: which row is
next, or how rows resemble each other.

With k(g) rows kept of group g and K kept in all, a row of group g that is next in the order finds its group
closed iff

    k(g) >= cap(g),  or  there are floors, k(g) >= floor(g), and free = budget - K - sum over h of
    max(0, floor(h) - k(h)) is not above 0: whatever is left of the budget is owed to other groups.

Closedness is monotone: once closed, closed for good. Counts only grow, so a full cap stays full and a met
floor stays met; and `free` never grows, because keeping a row of g raises K by 1 and lowers the sum of what
is owed by 1 if k(g) < floor(g), else by 0: `free` stays or falls by 1. Hence groups that are closed when a
block of rows begins may be passed over without a look at their vectors.

Caps alone keep the prefix property (the selection of a budget begins that of any larger one), as no budget
occurs in their rule. Floors do not: another budget leaves other rows free.
"""

from __future__ import annotations

from typing import Final, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: A cap that nothing reaches.
NO_CAP: Final = 2**63 - 1


class Quotas:
    """Caps and floors of groups, and the count of rows that one pass has kept of each.

    A pass counts in the object it is given, so every pass needs its own.

    Attributes:
        group: (n,) int64, group of each row number of the vector source.
        caps: (groups,) int64, rows kept of a group at most; `NO_CAP` for none.
        floors: (groups,) int64, rows that a group gets at least, zeros where there are none.
        budget: rows that the floors are taken out of, None without floors.
    """

    def __init__(
        self, group: ArrayLike, caps: ArrayLike, floors: ArrayLike | None = None, budget: int | None = None
    ) -> None:
        """Open the groups.

        Args:
            group: (n,) numbers of groups, 0 up to len(caps) - 1.
            caps: (groups,) at least 0.
            floors: (groups,) 0 up to the cap; None for none.
            budget: with floors, rows to keep in all, at least the sum of the floors.

        Raises:
            ValueError: for arguments outside these bounds.
        """
        self.group = np.asarray(group, dtype=np.int64)
        self.caps = np.asarray(caps, dtype=np.int64)
        self.floors = np.zeros_like(self.caps) if floors is None else np.asarray(floors, dtype=np.int64)
        self.budget = budget
        _check(self.group, self.caps, self.floors, floors is not None, budget)
        # Plain lists: rows inside a block are admitted one by one, ten times faster than from an array.
        self._caps, self._floors = self.caps.tolist(), self.floors.tolist()
        self._kept = [0] * len(self._caps)
        self._free = 1 if floors is None or budget is None else budget - int(self.floors.sum())

    @property
    def kept(self) -> NDArray[np.int64]:
        """Rows kept so far of each group, (groups,)."""
        return np.array(self._kept, dtype=np.int64)

    @property
    def shortfall(self) -> NDArray[np.int64]:
        """Rows that each group still lacks to its floor, (groups,); after a pass, what the pool did not hold."""
        lacking: NDArray[np.int64] = np.maximum(self.floors - self.kept, 0)
        return lacking

    def is_closed(self, group: int) -> bool:
        """Whether a further row of this group would be over quota."""
        kept = self._kept[group]
        return kept >= self._caps[group] or (self._free <= 0 and kept >= self._floors[group])

    def closed(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """The same for many row numbers (m,) of the vector source, as things stand now."""
        closed = np.array([self.is_closed(group) for group in range(len(self._caps))], dtype=np.bool_)
        of_rows: NDArray[np.bool_] = closed[self.group[rows]]
        return of_rows

    def count(self, group: int) -> None:
        """A row of this group was kept."""
        if self.budget is not None and self._kept[group] >= self._floors[group]:
            self._free -= 1
        self._kept[group] += 1

    def count_rows(self, rows: NDArray[np.int64]) -> None:
        """These row numbers (m,) were kept."""
        for group in self.group[rows].tolist():
            self.count(group)

    def ahead(self) -> Self:
        """A copy to count rows in that may not be kept after all."""
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy._kept = self._kept.copy()
        return copy


def checked_quotas(quotas: Quotas | None, order: NDArray[np.int64]) -> Quotas | None:
    """Quotas that fit an order of rows, and that no pass has counted in.

    Raises:
        ValueError: they do not.
    """
    if quotas is None:
        return None
    if len(order) and not 0 <= order.min() <= order.max() < len(quotas.group):
        raise ValueError(
            f"quotas know the groups of {len(quotas.group)} rows, but the order holds row {order.max()}; "
            "give one group for each row of the vector source"
        )
    if quotas.kept.any():
        raise ValueError("the quotas have counted rows already; give every pass its own")
    return quotas


def _check(
    group: NDArray[np.int64],
    caps: NDArray[np.int64],
    floors: NDArray[np.int64],
    has_floors: bool,
    budget: int | None,
) -> None:
    if caps.ndim != 1 or group.ndim != 1 or floors.shape != caps.shape:
        raise ValueError(
            f"group, caps and floors have shapes {group.shape}, {caps.shape} and {floors.shape}, expected "
            "one group for each row, one cap and one floor for each group"
        )
    if len(group) and not 0 <= group.min() <= group.max() < len(caps):
        raise ValueError(f"groups run from {group.min()} to {group.max()}, expected 0 to {len(caps) - 1}")
    if (floors < 0).any() or (caps < floors).any():
        wrong = int(np.flatnonzero((floors < 0) | (caps < floors))[0])
        raise ValueError(
            f"group {wrong} has cap {caps[wrong]} and floor {floors[wrong]}, expected 0 <= floor <= cap"
        )
    wanted = max(1, int(floors.sum()))
    budget_fits = budget is not None and budget >= wanted if has_floors else budget is None
    if not budget_fits:
        expected = (
            f"at least the sum of the floors ({int(floors.sum())})" if has_floors else "none without floors"
        )
        raise ValueError(f"budget of the quotas is {budget}, expected {expected}")
