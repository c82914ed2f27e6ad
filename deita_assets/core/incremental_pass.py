"""REPR FILTER once more, after rows came, went or changed places: the same result, for the price of the changes.

The rule and the result are those of `deita_assets.core.repr_filter`, in every field of every row. What an earlier
pass found (`EarlierPass`) spares most comparisons: a *quiet* row, whose nearest row of then is kept again, is only
compared with the *new* rows, those kept now that are not `counted` by the earlier pass.

Why that is exact, by induction over the ranks. Suppose all rows before r are decided as `GreedyPass` decides them,
so that the rows kept before r are the right ones: K = C + N, with C the counted and N the new ones.

- r is not quiet: it is compared with all of K, as ever.
- r is quiet: its nearest row of then, w, is in K. By what `EarlierPass` promises, no row of C is nearer than w, and
  none that is as near stands before w. So the nearest row of K is w or one in N, the nearer one, and of those as
  near the first. The similarity to w is a function of the two stored vectors; the earlier pass has stored it.

The verdict follows from similarity and threshold alone. So an earlier pass of another threshold or another budget
serves as well; it only spares less. Rows that the earlier pass never visited have no nearest row, hence are not
quiet: behind the end of the earlier pass this is a plain one.

Rows are decided in blocks. For a quiet row whose w stands in the block itself it is not yet known whether w will be
kept. It is taken to be; where it is not, the row is searched after all and the block decided again. What holds then
are the rows before the first one that relied on a row that was dropped; a block that still has one is cut there.

What belongs here: the pass, block by block. What does not: what the earlier pass still says, which is told from the
two orders (`incremental_earlier`), and the comparisons inside a block (`incremental_block`).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_assets.core.block_kernel import BlockKernel, Pairs
from deita_assets.core.incremental_block import Standing, decide, nearest_of, pairs_in_block
from deita_assets.core.incremental_earlier import EarlierPass
from deita_assets.core.incremental_rows import KeptUnits, QuickBlock, quick_unit
from deita_assets.core.kept_rows import KEEP_ALL, Neighbours
from deita_assets.core.repr_filter import GreedyPass, VectorSource
from deita_assets.core.similarity import exact_similarity

#: Rows of a block: few searches with many rows each are cheaper than many with few.
LARGEST_QUIET_BLOCK = 2048
#: Blocks get no smaller than this when they keep ending early.
SMALLEST_QUIET_BLOCK = 128
#: Pairs compared exactly at once: two float64 rows for each, 64 MiB at 4,096 numbers a row.
_EXACT_PAIRS = 1024
#: How often a block is decided again, with more rows searched, before it is cut.
_ATTEMPTS = 4


class IncrementalPass(GreedyPass):
    """A `GreedyPass` that makes use of an earlier one; equal to one that does not, in every field of every row.

    `run` may be called again with a larger budget, and an exception leaves it where the last whole block ended. To
    go on with one that was stored, use `GreedyPass.resume`: nothing in it tells that it was incremental.

    Attributes:
        pairs: pairs of rows compared so far, those included that turned out not to be needed.
    """

    def __init__(
        self,
        vectors: VectorSource,
        order: ArrayLike,
        threshold: float,
        kernel: BlockKernel,
        block_size: int | None = None,
        *,
        earlier: EarlierPass,
        frozen: int = 0,
    ) -> None:
        """Start a pass.

        Args:
            vectors: as for `GreedyPass`. Rows with a nearest row in `earlier` must have the vectors that they, and
                that row, had then.
            order: as for `GreedyPass`.
            threshold: as for `GreedyPass`.
            kernel: as for `GreedyPass`.
            block_size: as for `GreedyPass`.
            earlier: what an earlier pass found, over the same order.
            frozen: as for `GreedyPass`.

        Raises:
            ValueError: as for `GreedyPass`; for an earlier pass over another number of rows.
        """
        super().__init__(vectors, order, threshold, kernel, block_size, frozen=frozen)
        if len(earlier.nearest) != len(self.order):
            raise ValueError(
                f"the earlier pass tells of {len(earlier.nearest)} rows, expected the {len(self.order)} of the order"
            )
        self._earlier = earlier
        known = np.flatnonzero(earlier.nearest >= 0)
        self._told_until = int(known[-1]) + 1 if len(known) else 0
        always = math.inf if self.threshold >= KEEP_ALL else frozen
        self._units = KeptUnits(kernel, vectors.dimension, always)
        self._to_fetch: list[NDArray[np.int64]] = []
        self._quiet_rows = LARGEST_QUIET_BLOCK

    @property
    def pairs(self) -> int:
        """Pairs of rows compared so far."""
        return self._units.pairs

    def _visit_block(self, remaining: float) -> None:
        """Decide one block of rows, up to the row that fills the budget."""
        ranks = np.arange(self.visited, min(self.visited + self._rows_now(remaining), len(self.order)))
        quiet = self._quiet(ranks)
        always = ranks < self._frozen
        similarity = np.where(quiet, self._earlier.similarity[ranks], -np.inf)
        counted = self._earlier.counted[ranks]
        may_be_new = ~counted & (always | (similarity <= self.threshold))
        block = None
        if quiet.all() and not self._units.any_new and not may_be_new.any():
            nearest = Neighbours(similarity, self._earlier.nearest[ranks])
            keep = always | (similarity <= self.threshold)
        else:
            self._fetch_kept()
            block = self._quick_block(ranks)
            quiet, keep, nearest = self._compare(block, quiet, always)
        stop = self._end_of_truth(ranks, quiet, keep)
        kept = np.flatnonzero(keep[:stop])
        if len(kept) >= remaining:
            stop = int(kept[int(remaining) - 1]) + 1
        keep[stop:] = False
        if block is None:
            self._to_fetch.append(ranks[keep])
        else:
            self._units.append(block, keep, counted)
        self._record(keep[:stop], Neighbours(nearest.similarity[:stop], nearest.rank_index[:stop]))

    def _quiet(self, ranks: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(n,) rows whose nearest row of then is kept again, or stands in this block and may be."""
        nearest = self._earlier.nearest[ranks]
        quiet: NDArray[np.bool_] = (nearest >= ranks[0]) | ((nearest >= 0) & self.is_kept[nearest])
        return quiet

    def _compare(
        self, block: QuickBlock, quiet: NDArray[np.bool_], always: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Neighbours]:
        """(quiet rows, kept rows, nearest rows) of a block."""
        standing = self._compare_with_new(block, quiet, always)
        standing = self._search(block, standing, np.flatnonzero(standing.searched))
        at = standing.to_compare(self.threshold)
        estimates = self._among(block, at)
        for attempt in range(_ATTEMPTS):
            pairs = pairs_in_block(standing, at, estimates, self.threshold, self._units.eps)
            exact = self._exact(block.ranks[pairs.row], block.ranks[pairs.column])
            keep = decide(standing, pairs, exact, self.threshold)
            wrong = np.flatnonzero(~standing.searched & self._relies_on(block.ranks, ~keep))
            if not len(wrong) or attempt == _ATTEMPTS - 1:
                break
            standing = self._search(block, standing, wrong)
            more = np.setdiff1d(wrong, at)
            at, estimates = np.append(at, more), np.append(estimates, self._among(block, more), axis=0)
        valid = keep[pairs.column]
        ranked = Pairs(pairs.row[valid], block.ranks[pairs.column[valid]])
        nearest, similarity = nearest_of(standing.nearest, standing.similarity, ranked, exact[valid])
        return ~standing.searched, keep, Neighbours(similarity, nearest)

    def _compare_with_new(
        self, block: QuickBlock, quiet: NDArray[np.bool_], always: NDArray[np.bool_]
    ) -> Standing:
        """The quiet rows of a block against the new rows of earlier blocks; the others have nothing so far."""
        ranks, was = block.ranks, self._earlier
        at = np.flatnonzero(quiet)
        near, estimates = self._units.near_new(block.unit[at], was.similarity[ranks[at]])
        near = Pairs(at[near.row], near.column)

        # Rows that are dropped whatever happens in this block, so that no row of it can rely on them.
        gone = quiet & (was.similarity[ranks] > self.threshold)
        gone[near.row[estimates > self.threshold + self._units.eps]] = True
        quiet = quiet & ~self._relies_on(ranks, gone & ~always)

        of_quiet = quiet[near.row]
        near = Pairs(near.row[of_quiet], near.column[of_quiet])
        nearest, similarity = nearest_of(
            np.where(quiet, was.nearest[ranks], -1),
            np.where(quiet, was.similarity[ranks], -np.inf),
            near,
            self._exact(ranks[near.row], near.column),
        )
        return Standing(~quiet, was.counted[ranks], always, block.distinct, nearest, similarity)

    def _search(self, block: QuickBlock, standing: Standing, rows: NDArray[np.int64]) -> Standing:
        """Compare `rows` of a block with all kept rows of earlier blocks, whatever was known of them."""
        found = self._units.near_best(block.unit[rows])
        found = Pairs(rows[found.row], found.column)
        nearest, similarity = standing.nearest.copy(), standing.similarity.copy()
        searched = standing.searched.copy()
        nearest[rows], similarity[rows], searched[rows] = -1, -np.inf, True
        exact = self._exact(block.ranks[found.row], found.column)
        nearest, similarity = nearest_of(nearest, similarity, found, exact)
        return standing._replace(searched=searched, nearest=nearest, similarity=similarity)

    def _among(self, block: QuickBlock, at: NDArray[np.int64]) -> NDArray[np.float32]:
        """Estimates between rows `at` (l,) of a block and all of it, (l, n)."""
        # A product with few columns is up to three times as fast as one with few rows.
        return np.ascontiguousarray(self._units.cross(block.unit, block.unit[at]).T)

    def _relies_on(self, ranks: NDArray[np.int64], dropped: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(n,) rows of a block whose nearest row of then is one of the `dropped` (n,) of the same block."""
        place = self._earlier.nearest[ranks] - ranks[0]
        relies: NDArray[np.bool_] = (place >= 0) & dropped[np.maximum(place, 0)]
        return relies

    def _end_of_truth(
        self, ranks: NDArray[np.int64], quiet: NDArray[np.bool_], keep: NDArray[np.bool_]
    ) -> int:
        """How many rows of a block are decided rightly: those before the first quiet one that lost its nearest."""
        wrong = np.flatnonzero(quiet & self._relies_on(ranks, ~keep))
        if len(wrong):
            self._quiet_rows = max(self._quiet_rows // 2, SMALLEST_QUIET_BLOCK)
            return int(wrong[0])
        self._quiet_rows = min(2 * self._quiet_rows, LARGEST_QUIET_BLOCK)
        return len(ranks)

    def _rows_now(self, remaining: float) -> int:
        """How many rows to decide next: many where most are quiet, else as many as a plain pass takes."""
        if self._block_size is not None or self.visited >= self._told_until:
            return super()._rows_now(remaining)
        here = slice(self.visited, min(self.visited + self._quiet_rows, self._told_until))
        likely = np.cumsum(self._earlier.counted[here] | (self._earlier.nearest[here] < 0))
        return int(np.searchsorted(likely[:-1], 1.02 * remaining + 16)) + 1

    def _fetch_kept(self) -> None:
        """Take the kept rows of blocks that could be decided without any vector."""
        while self._to_fetch:
            ranks = self._to_fetch[0]
            every = np.ones(len(ranks), np.bool_)
            self._units.append(self._quick_block(ranks), every, self._earlier.counted[ranks])
            self._to_fetch.pop(0)

    def _quick_block(self, ranks: NDArray[np.int64]) -> QuickBlock:
        """Take rows from the source, and prepare them quickly if they can be."""
        if self._stored is None:
            self._fetch(ranks[:1])  # learns the dtype
        stored = np.asarray(self._vectors.take(self.order[ranks]))
        unit = None
        if stored.dtype == self._stored and stored.shape == (len(ranks), self._vectors.dimension):
            unit = quick_unit(stored)
        if unit is None:
            unit = self._fetch(ranks).unit  # tells what is wrong with them, if anything is
        return self._units.block(ranks, stored, unit)

    def _exact(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
        """`similarity` of pairs of ranks, (p,) float64."""
        similarity = np.empty(len(left))
        for start in range(0, len(left), _EXACT_PAIRS):
            part = slice(start, start + _EXACT_PAIRS)
            ranks, place = np.unique(np.concatenate((left[part], right[part])), return_inverse=True)
            rows = self._fetch(ranks).rows
            count = len(left[part])
            similarity[part] = exact_similarity(rows, place[:count], rows, place[count:])
        return similarity
