"""REPR FILTER: the score-first, diversity-aware greedy pass, exact and resumable.

What belongs here: the pass over rows that somebody ranked, and where it stopped. What does not: how rows are
scored or ranked, where vectors come from, what a decision is called in a ledger.

The paper's rule, with S_i the rows kept before row i of the order:

    keep row i  iff  max over k in S_i of similarity(i, k) <= threshold

Every visited row gets the greatest similarity to the rows kept before it and the one of them that has it
(ties go to the one kept first), kept rows included; only the first row has none. `similarity` is the exact
definition of `deita_assets.core.similarity`. Blocks of rows are compared with all kept rows by a float32
kernel, and whatever its error bound leaves open is settled by that definition. So decisions, neighbours and
values are the same for any block size, number of threads, kernel or device, and however often a pass was
stopped and resumed.

Two things bend the rule where they are asked for. *Frozen* rows, the first so many of the order, are kept
whatever they resemble: the rows of a selection that others already use. *Quotas* close groups of rows
(`deita_assets.core.quotas`): a row whose group is closed when its turn comes is passed over, uncompared.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_assets.core.block_kernel import BlockKernel
from deita_assets.core.block_walk import BlockWalk
from deita_assets.core.closed_rows import among_closed, next_open
from deita_assets.core.kept_rows import Block, KeptRows, Neighbours
from deita_assets.core.quotas import Quotas, checked_quotas
from deita_assets.core.similarity import exact_rows

#: (rows visited, rows kept) so far.
Progress = Callable[[int, int], None]

SMALLEST_BLOCK, LARGEST_BLOCK = 256, 1024
#: What was decided about no row.
_NOTHING = (np.empty(0, np.bool_), Neighbours(np.empty(0), np.empty(0, np.int64)), np.empty(0, np.bool_))


class VectorSource(Protocol):
    """Where vectors come from; they are fetched block by block in score order.

    Attributes:
        dimension: length of a vector.
    """

    dimension: int

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.floating]:
        """The stored vectors of these rows, (len(rows), dimension), none of them zero or non-finite.

        float16, float32 or float64, the same in every call.
        """
        ...


class GreedyPass:
    """One pass over an order of rows; `run` may be called again with a larger budget to extend it.

    All positions are rank indices: 0-based places in `order`. An exception out of the vector source or the
    progress callback leaves the pass where the last whole block ended; `run` may then be called again.

    Attributes:
        order: (n,) int64, row numbers of the vector source, best score first.
        threshold: a row is dropped iff its similarity to some kept row is greater.
        visited: how many rows are decided, from the front of the order.
        kept: rank indices of the kept rows, in the order in which they were kept.
        is_kept: (n,) bool.
        is_over_quota: (n,) bool, rows whose group was closed when their turn came.
        blocked_by: (n,) int64, the nearest row kept before; -1 for the first row that is kept, for rows over
            quota and for unvisited rows.
        similarity: (n,) float64, similarity to that row; NaN where there is none.
    """

    def __init__(
        self,
        vectors: VectorSource,
        order: ArrayLike,
        threshold: float,
        kernel: BlockKernel,
        block_size: int | None = None,
        *,
        frozen: int = 0,
        quotas: Quotas | None = None,
    ) -> None:
        """Start a pass.

        Args:
            vectors: source of the stored vectors.
            order: (n,) row numbers, best score first.
            threshold: in (-1, 1].
            kernel: an empty kernel; the pass fills it.
            block_size: rows compared at once; None adapts it. It has no influence on the result.
            frozen: the first rows of the order, so many of them, are kept whatever they resemble. They count
                against budget and quotas, and get a neighbour and a similarity like every row.
            quotas: caps and floors by group, not used by another pass; None for none.

        Raises:
            ValueError: for a threshold, block size, dimension, order, kernel, number of frozen rows or quotas
                that cannot be used.
        """
        if not -1 < threshold <= 1:
            raise ValueError(f"threshold is {threshold}, expected a cosine similarity above -1 and up to 1")
        if block_size is not None and block_size < 1:
            raise ValueError(f"block_size is {block_size}, expected at least 1, or None to adapt it")
        if len(kernel):
            raise ValueError(f"the kernel holds {len(kernel)} rows already; give every pass its own")
        self.order = np.asarray(order, dtype=np.int64)
        if self.order.ndim != 1:
            raise ValueError(f"order has shape {self.order.shape}, expected one row number for each rank")
        self.threshold = float(threshold)
        self.visited = 0
        self.kept: list[int] = []
        self.is_kept = np.zeros(len(self.order), dtype=np.bool_)
        self.is_over_quota = np.zeros(len(self.order), dtype=np.bool_)
        self.blocked_by = np.full(len(self.order), -1, dtype=np.int64)
        self.similarity = np.full(len(self.order), np.nan)
        self._vectors = vectors
        self._kernel = kernel
        self._frozen = checked_frozen(frozen, len(self.order))
        self._quotas = checked_quotas(quotas, self.order)
        self._kept_rows = KeptRows(kernel, vectors.dimension, self.threshold, self._frozen)
        self._stored: np.dtype[np.floating] | None = None
        self._block_size = block_size
        self._keep_rate = 1.0

    @classmethod
    def resume(
        cls,
        vectors: VectorSource,
        order: ArrayLike,
        threshold: float,
        kernel: BlockKernel,
        *,
        visited: int,
        kept: ArrayLike,
        blocked_by: ArrayLike,
        similarity: ArrayLike,
        block_size: int | None = None,
        frozen: int = 0,
        quotas: Quotas | None = None,
    ) -> Self:
        """Continue a pass that was stored: the same vectors, order and threshold, and what it had found.

        Args:
            vectors: as for a new pass; the vectors of the kept rows are taken again.
            order: as for a new pass.
            threshold: as for a new pass.
            kernel: as for a new pass.
            visited: rows decided by then.
            kept: rank indices of the rows kept by then, ascending, all below `visited`.
            blocked_by: at least the first `visited` entries of that attribute.
            similarity: at least the first `visited` entries of that attribute.
            block_size: as for a new pass.
            frozen: as for a new pass.
            quotas: as for a new pass, with nothing counted; the kept rows are counted again.

        Raises:
            ValueError: for parts that do not fit together.
        """
        greedy = cls(vectors, order, threshold, kernel, block_size, frozen=frozen, quotas=quotas)
        greedy._restore(
            visited,
            np.asarray(kept, dtype=np.int64),
            np.asarray(blocked_by, dtype=np.int64),
            np.asarray(similarity, dtype=np.float64),
        )
        return greedy

    @property
    def exhausted(self) -> bool:
        """Whether every row was visited, so that no larger budget could keep more."""
        return self.visited == len(self.order)

    def run(self, budget: int | None = None, on_progress: Progress | None = None) -> None:
        """Visit rows until `budget` rows are kept (None: to the end); rows decided before stay as they are.

        Args:
            budget: rows to keep in all, at least 1. The pass stops right after the row that fills it.
            on_progress: called after every block with (rows visited, rows kept).

        Raises:
            ValueError: for a budget below 1, or vectors that cannot be compared.
        """
        if budget is not None and budget < 1:
            raise ValueError(f"budget is {budget}, expected at least 1, or None for no limit")
        while not self.exhausted and (budget is None or len(self.kept) < budget):
            self._visit_block(math.inf if budget is None else budget - len(self.kept))
            if on_progress is not None:
                on_progress(self.visited, len(self.kept))

    def _visit_block(self, remaining: float) -> None:
        """Decide one block of rows, up to the row that fills the budget."""
        end, compared = next_open(
            self._quotas, self.order, self.visited, self._rows_now(remaining), self._frozen
        )
        if not len(compared):
            self.is_over_quota[self.visited : end] = True
            self._record(*among_closed(end - self.visited, compared, *_NOTHING)[:2])
            return
        block = self._fetch(compared)
        before = self._kept_rows.nearest(block)
        frozen = int(np.searchsorted(compared, self._frozen))
        walk = BlockWalk(block, before, self.threshold, self._kernel, self._kept_rows.eps, frozen)
        if self._quotas is None:
            walk.decide()
        else:
            walk.decide(self._quotas.ahead(), self._quotas.group[self.order[compared]])
        keep, stop = walk.keep, len(walk.keep)
        kept = np.flatnonzero(keep)
        if len(kept) >= remaining:  # closed rows behind the one that fills the budget stay unvisited too
            stop = int(kept[int(remaining) - 1]) + 1
            end = int(compared[stop - 1]) + 1
        keep[stop:] = False
        nearest = walk.nearest(stop)
        self._kept_rows.append(block, keep)
        if self._quotas is None:
            self._record(keep[:stop], nearest)
            return
        at = compared[:stop] - self.visited
        keep, nearest, over = among_closed(
            end - self.visited, at, keep[:stop], nearest, walk.over_quota[:stop]
        )
        self.is_over_quota[self.visited : end] = over
        self._record(keep, nearest)

    def _record(self, keep: NDArray[np.bool_], nearest: Neighbours) -> None:
        """Write down what was decided about the next rows."""
        here = slice(self.visited, self.visited + len(keep))
        self.is_kept[here] = keep
        self.blocked_by[here] = nearest.rank_index
        self.similarity[here] = np.where(nearest.rank_index < 0, np.nan, nearest.similarity)
        kept = self.visited + np.flatnonzero(keep)
        self.kept.extend(kept.tolist())
        if self._quotas is not None:
            self._quotas.count_rows(self.order[kept])
        self.visited = here.stop
        compared = len(keep) - int(self.is_over_quota[here].sum())
        if compared:
            self._keep_rate = (self._keep_rate + len(kept) / compared) / 2

    def _rows_now(self, remaining: float) -> int:
        """How many rows to compare next.

        A large block makes the product with the kept rows efficient; but the rows of a block that are still
        in the running are compared with all of the block, twice as many products as needed, and rows behind
        the one that fills the budget are compared for nothing.
        """
        if self._block_size is not None:
            return self._block_size
        rows = len(self.kept) / (16 * max(self._keep_rate, 1 / 64))
        rows = min(max(rows, SMALLEST_BLOCK), LARGEST_BLOCK)
        return math.ceil(min(rows, 1.02 * remaining / max(self._keep_rate, 1 / 64) + 8))

    def _fetch(self, rank_index: NDArray[np.int64]) -> Block:
        """Take rows from the source and prepare them."""
        rows = self.order[rank_index]
        stored = np.asarray(self._vectors.take(rows))
        expected = (len(rows), self._vectors.dimension)
        if stored.shape != expected or stored.dtype.kind != "f" or stored.dtype.itemsize > 8:
            raise ValueError(
                f"the vector source gave {stored.dtype} {stored.shape}, "
                f"expected float16, float32 or float64 {expected}"
            )
        if stored.dtype != (self._stored or stored.dtype):
            raise ValueError(
                f"the vector source gave {stored.dtype} after {self._stored}, expected one dtype"
            )
        self._stored = stored.dtype
        return self._kept_rows.prepare(rank_index, exact_rows(stored, rows))

    def _restore(
        self,
        visited: int,
        kept: NDArray[np.int64],
        blocked_by: NDArray[np.int64],
        similarity: NDArray[np.float64],
    ) -> None:
        """Take over what a stored pass had found."""
        if not 0 <= visited <= min(len(self.order), len(blocked_by), len(similarity)):
            raise ValueError(
                f"visited is {visited}, expected 0 up to the rows in the order ({len(self.order)}), "
                f"in blocked_by ({len(blocked_by)}) and in similarity ({len(similarity)})"
            )
        always = min(visited, self._frozen if self._quotas is not None else max(self._frozen, 1))
        if not _fits(kept, visited, always):
            raise ValueError(
                f"kept is {kept[:10]}..., expected ranks from 0 ascending, below visited ({visited}), with the "
                f"first {always} among them"
            )
        for start in range(0, len(kept), LARGEST_BLOCK):
            block = self._fetch(kept[start : start + LARGEST_BLOCK])
            self._kept_rows.append(block, np.ones(len(block.rank_index), dtype=np.bool_))
        self.is_kept[kept] = True
        self.kept = kept.tolist()
        self.blocked_by[:visited] = blocked_by[:visited]
        self.similarity[:visited] = similarity[:visited]
        if self._quotas is not None:
            self._quotas.count_rows(self.order[kept])
            self.is_over_quota[:visited] = np.isnan(similarity[:visited]) & ~self.is_kept[:visited]
        self.visited = visited


def checked_frozen(frozen: int, n_rows: int) -> int:
    """A number of frozen rows that an order of `n_rows` has.

    Raises:
        ValueError: it has not.
    """
    if not 0 <= frozen <= n_rows:
        raise ValueError(f"frozen is {frozen}, expected 0 up to the rows in the order ({n_rows})")
    return frozen


def _fits(kept: NDArray[np.int64], visited: int, always: int) -> bool:
    """Whether these can be the kept ranks among the first `visited`, the first `always` of which are kept."""
    if len(kept) < always or not np.array_equal(kept[:always], np.arange(always)):
        return False
    return not len(kept) or bool(kept[0] >= 0 and kept[-1] < visited and (np.diff(kept) > 0).all())
