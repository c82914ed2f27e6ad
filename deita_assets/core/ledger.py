"""The decision ledger: for every row of a pool, what became of it and why.

What belongs here: the result object of a selection. What does not: how decisions are made, or
where ledgers are stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_assets.core.selection_pass import SelectionPass
from deita_assets.core.verdicts import KEPT, NEAR_DUPLICATE, OVER_QUOTA, UNVISITED, VERDICTS

_Number = TypeVar("_Number", np.int64, np.float64)
_VERDICT_DTYPE = f"<U{max(map(len, VERDICTS))}"


@dataclass(frozen=True, eq=False, repr=False)
class Ledger:
    """What one pass decided, row by row. Arrays are read-only; n is the number of rows given, in input order.

    Attributes:
        verdict: (n,) str, one of `VERDICTS`.
        rank: (n,) int64, 1-based place in score order, -1 for rows that have none (`unscored`, `invalid`).
        kept_position: (n,) int64, 1-based place in the selection, -1 if not kept.
        blocked_by: (n,) int64, row that is nearest among those kept before; it blocks a `near_duplicate`. -1
            for the first kept row, for unvisited rows and rows without rank.
        similarity: (n,) float64, similarity to that row, NaN where there is none.
        order: (ranked rows,) int64, rows in rank order.
        kept: (kept rows,) int64, rows in selection order; the first b of them are the selection of budget b
            (with shares or floors only of the budget it was made for).
        threshold: similarity above which a row was dropped.
        visited: number of ranked rows that were decided.
        exhausted: whether every ranked row was visited, so that no larger budget would keep more.
    """

    verdict: NDArray[np.str_]
    rank: NDArray[np.int64]
    kept_position: NDArray[np.int64]
    blocked_by: NDArray[np.int64]
    similarity: NDArray[np.float64]
    order: NDArray[np.int64]
    kept: NDArray[np.int64]
    threshold: float
    visited: int
    exhausted: bool

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    @classmethod
    def of_pass(
        cls, greedy: SelectionPass, n_rows: int, unranked: Mapping[str, ArrayLike] | None = None
    ) -> Self:
        """Translate a pass, which thinks in ranks, into the order of the input.

        Args:
            greedy: the pass; the entries of its order are rows of the input.
            n_rows: number of rows of the input.
            unranked: verdict -> rows that are not in the order. Together with the order they make up the
                input.
        """
        order = greedy.order.copy()
        kept = order[np.asarray(greedy.kept, dtype=np.int64)]
        verdict = np.full(n_rows, UNVISITED, dtype=_VERDICT_DTYPE)
        verdict[order[greedy.blocked_by >= 0]] = NEAR_DUPLICATE
        verdict[order[greedy.is_over_quota]] = OVER_QUOTA
        verdict[kept] = KEPT
        for name, rows in (unranked or {}).items():
            verdict[np.asarray(rows, dtype=np.int64)] = name
        blocked_by = np.where(greedy.blocked_by < 0, -1, order[greedy.blocked_by])
        return cls(
            verdict=verdict,
            rank=_scattered(n_rows, order, np.arange(1, len(order) + 1), -1),
            kept_position=_scattered(n_rows, kept, np.arange(1, len(kept) + 1), -1),
            blocked_by=_scattered(n_rows, order, blocked_by, -1),
            similarity=_scattered(n_rows, order, greedy.similarity, np.nan),
            order=order,
            kept=kept,
            threshold=greedy.threshold,
            visited=greedy.visited,
            exhausted=greedy.exhausted,
        )

    def __len__(self) -> int:
        """Number of rows of the input."""
        return len(self.verdict)

    def __repr__(self) -> str:
        found = ", ".join(f"{count:,} {name}" for name, count in self.counts().items() if count)
        end = "exhausted" if self.exhausted else f"{self.visited:,} visited"
        return f"Ledger({len(self):,} rows: {found or 'empty'}; threshold {self.threshold:g}, {end})"

    def counts(self) -> dict[str, int]:
        """Rows by verdict, every verdict present, zeros included."""
        return {name: int((self.verdict == name).sum()) for name in VERDICTS}

    def at_budget(self, budget: int) -> NDArray[np.int64]:
        """Rows of the selection of this budget, in selection order; all kept rows if the pool cannot fill it.

        Raises:
            ValueError: for a budget below 1, or one that this ledger did not run far enough to answer.
        """
        if budget < 1:
            raise ValueError(f"budget is {budget}, expected at least 1")
        if budget > len(self.kept) and not self.exhausted:
            raise ValueError(
                f"budget is {budget}, but this ledger stopped at {len(self.kept)} kept rows; "
                f"select again with budget={budget} or more, or None"
            )
        return self.kept[:budget]


def _scattered(n: int, rows: NDArray[np.int64], values: NDArray[_Number], missing: float) -> NDArray[_Number]:
    """(n,) array with `values` at `rows` and `missing` elsewhere."""
    full = np.full(n, missing, dtype=values.dtype)
    full[rows] = values
    return full
