"""What would be: at which thresholds a row that was dropped would stay, and what becomes of one not yet reached.

Everything is computed in memory from a stored ledger and the stored vectors; nothing is written.

**Thresholds.** Let S be the greatest similarity of a row to *any* row ranked before it. At a threshold of S or more the
row is kept, whichever of those rows are. The row that blocks it now, at similarity s, is itself kept at every
threshold from its own S on, so that from there up to s the row is out for certain. What happens elsewhere depends on
which rows are kept, and those change with the threshold in both directions: a lower one may drop the row that blocks.

**Looking ahead.** A pass of a prefix-stable selector decides a row by the rows before it alone. So the stored pass,
taken further over the order cut off behind the row, decides it as the real one would.

What belongs here: these two questions. What does not: telling the answers (cli), or passes (core).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.exact_products import similarities
from deita_assets.core.selectors import SELECTORS
from deita_assets.core.similarity import ExactRows, exact_rows
from deita_assets.core.verdicts import KEPT, NEAR_DUPLICATE, OVER_QUOTA, UNVISITED
from deita_assets.engines.kernels import kernel_on
from deita_assets.engines.passes import Decided, start_pass
from deita_assets.engines.ranked import FROZEN, RankedRows
from deita_assets.errors import StoreError
from deita_assets.stores import ledgers
from deita_assets.stores.home import Home
from deita_assets.stores.ledgers import StoredLedger
from deita_assets.stores.ordered_vectors import OrderedVectors
from deita_assets.stores.sql import statement
from deita_assets.stores.vectors import EmbeddingTable

if TYPE_CHECKING:
    import duckdb

#: Rows ahead that are walked unasked: a second or two on two cores.
MOST_AHEAD = 20_000
#: Rows compared at once: 12 MB as float64 at 384 numbers.
_BLOCK_ROWS = 4_096


@dataclass(frozen=True)
class Thresholds:
    """At which thresholds a near-duplicate would be kept.

    Attributes:
        in_from: at this threshold or a higher one the row is kept, unless a cap closes its source.
        nearest: the row ranked before it that is that similar.
        out_from: from this threshold on ...
        out_below: ... and below this one it is out; none for certain where `out_from` is not the smaller one.
    """

    in_from: float
    nearest: str
    out_from: float
    out_below: float


@dataclass(frozen=True)
class Ahead:
    """What would become of a row that no pass has reached.

    Attributes:
        rows_ahead: rows that are visited before it, from where the stored pass stopped.
        walked: True when the pass was taken on to the row, so that everything here is exact.
        verdict: `kept`, `near_duplicate` or `over_quota`; None where only walking could tell.
        position_least: its place among the kept rows, if it is kept, is at least this ...
        position_most: ... and at most this: in from such a budget on.
        blocked_by: the kept row most similar to it, of those before it that are known to be kept.
        similarity: similarity to that row.
    """

    rows_ahead: int
    walked: bool
    verdict: str | None
    position_least: int | None
    position_most: int | None
    blocked_by: str | None = None
    similarity: float | None = None


def can_look_ahead(ledger: StoredLedger) -> bool:
    """True when rows before a row decide it: the pass goes down the order, and is the same for all budgets."""
    return ledger.spec["selector"]["name"] in ("repr_filter", "score_only", "random") and (
        not ledger.for_one_budget
    )


def thresholds(
    con: duckdb.DuckDBPyConnection, home: Home, ledger: StoredLedger, sample_id: str, blocked_by: str
) -> Thresholds:
    """At which thresholds a near-duplicate of a ledger would be kept.

    Args:
        con: the warehouse, or its published copy.
        home: whose vectors are compared.
        ledger: of selector `repr_filter`.
        sample_id: its near-duplicate.
        blocked_by: the row that blocks it.

    Raises:
        StoreError: rows or vectors are gone.
    """
    before = _Before(con, home, ledger, sample_id)
    blocker = before.rows.sample_ids.index(blocked_by)
    rows = before.take(np.array([before.last, blocker]))
    own = before.similarity_to(rows, 0, before.last)
    others = before.similarity_to(rows, 1, blocker)
    frozen_or_first = blocker < max(before.rows.frozen, 1)
    nearest = int(own.argmax())
    return Thresholds(
        in_from=float(own[nearest]),
        nearest=before.rows.sample_ids[nearest],
        out_from=-1.0 if frozen_or_first else float(others.max()),
        out_below=float(own[blocker]),
    )


def look_ahead(
    con: duckdb.DuckDBPyConnection,
    home: Home,
    ledger: StoredLedger,
    sample_id: str,
    *,
    most: int | None = MOST_AHEAD,
) -> Ahead:
    """What would become of an unvisited row of a ledger if its pass went on; `can_look_ahead` holds.

    Args:
        con: the warehouse, or its published copy.
        home: whose vectors are compared.
        ledger: its pass.
        sample_id: a row that it has not visited.
        most: rows ahead that are walked; beyond them only what one product tells. None: any number.

    Raises:
        StoreError: rows or vectors are gone.
    """
    rank = _rank(con, ledger, sample_id)
    ahead = rank - 1 - ledger.n_visited
    places = ledger.n_kept + 1, ledger.n_kept + ahead + 1
    selector = SELECTORS[ledger.spec["selector"]["name"]]
    capped = "caps" in ledger.spec["selector"]
    if not selector.needs_vectors and not capped:
        return Ahead(ahead, True, KEPT, places[1], places[1])
    before = _Before(con, home, ledger, sample_id)
    if most is None or ahead <= most:
        return before.walk(con)
    if capped or not selector.needs_vectors:
        return Ahead(ahead, False, None, *places)
    return before.bounds(ahead, places)


class _Before:
    """A row of a ledger and all rows ranked before it, in rank order, with their vectors."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, home: Home, ledger: StoredLedger, sample_id: str
    ) -> None:
        self.ledger = ledger
        found = con.execute(
            statement("explain/ranked_before"),
            {"ledger_id": ledger.ledger_id, "rank": _rank(con, ledger, sample_id), "frozen": FROZEN},
        ).fetchall()
        ids, contents, sources, scores, frozen, kept = (list(column) for column in zip(*found, strict=True))
        n = len(ids)
        self.rows = RankedRows(
            sample_ids=ids, contents=contents, sources=sources, evol_score=np.array(scores, np.float64),
            verdict=[UNVISITED] * n, reason=[None] * n, blocked_by=[None] * n, similarity=np.full(n, np.nan),
            order=np.arange(n), frozen=sum(frozen),
        )  # fmt: skip
        self.kept: NDArray[np.bool_] = np.array(kept, np.bool_)
        self.last = n - 1
        self.vectors = _vectors(home, str(ledger.spec["fingerprints"]["embedder"]), contents)
        self.vectors.follow(self.rows.order)

    def take(self, places: NDArray[np.int64]) -> ExactRows:
        """Vectors of some rows, prepared."""
        return exact_rows(self.vectors.take(places), places)

    def similarity_to(self, rows: ExactRows, at: int, stop: int) -> NDArray[np.float64]:
        """Exact similarity of one of `rows` to each of the first `stop` rows, (stop,) float64."""
        one = ExactRows(rows.values[[at]], rows.square[[at]], rows.weight[[at]], rows.stored)
        found = np.full(stop, -1.0)
        for start in range(0, stop, _BLOCK_ROWS):
            block = np.arange(start, min(start + _BLOCK_ROWS, stop))
            found[block] = similarities(one, self.take(block))[0]
        return found

    def walk(self, con: duckdb.DuckDBPyConnection) -> Ahead:
        """Take the stored pass on until it has decided the last row."""
        decided = Decided.of_rows(self.rows, ledgers.visited_rows(con, self.ledger.ledger_id))
        done = start_pass(self.ledger.spec, self.rows, self.vectors, lambda: kernel_on("cpu"), decided)
        done.run(None)
        ahead, last = self.last - self.ledger.n_visited, self.last
        if done.is_kept[last]:
            return Ahead(ahead, True, KEPT, len(done.kept), len(done.kept))
        if done.is_over_quota[last]:
            return Ahead(ahead, True, OVER_QUOTA, None, None)
        nearest = self.rows.sample_ids[done.blocked_by[last]]
        return Ahead(ahead, True, NEAR_DUPLICATE, None, None, nearest, float(done.similarity[last]))

    def bounds(self, ahead: int, places: tuple[int, int]) -> Ahead:
        """What is certain without a walk: rows kept so far stay kept."""
        found = self.similarity_to(self.take(np.array([self.last])), 0, self.last)
        threshold = float(self.ledger.spec["selector"]["threshold"])
        kept = np.flatnonzero(self.kept[: self.last])
        nearest = int(kept[found[kept].argmax()])
        if found[nearest] > threshold:
            told = self.rows.sample_ids[nearest], float(found[nearest])
            return Ahead(ahead, False, NEAR_DUPLICATE, None, None, *told)
        return Ahead(ahead, False, KEPT if found.max() <= threshold else None, *places)


def _rank(con: duckdb.DuckDBPyConnection, ledger: StoredLedger, sample_id: str) -> int:
    rows = con.execute(
        "select rank from store.ledger_row where ledger_id = ? and sample_id = ? and rank is not null",
        [ledger.ledger_id, sample_id],
    ).fetchall()
    if not rows:
        raise StoreError(
            f"ledger {ledger.ledger_id} has no rank for {sample_id}.",
            cure="Its rows were let go; materialise the ledger of its scope again.",
        )
    return int(rows[0][0])


def _vectors(home: Home, embedder: str, contents: list[str]) -> OrderedVectors:
    """The stored vectors of rows; nothing is made where none are.

    Raises:
        StoreError: there is no such table, it cannot be read, or it lacks one of them.
    """
    table = Path(home.lance) / f"embeddings_{embedder[:8]}.lance"
    cure = "Materialise `embeddings` again."
    if not table.is_dir():
        raise StoreError(f"the vectors that this ledger compared ({table.stem}) are not here", cure=cure)
    try:
        vectors = OrderedVectors(EmbeddingTable(home, embedder), contents)
    except (OSError, RuntimeError, ValueError) as error:
        raise StoreError(f"{table.stem} cannot be read: {str(error)[:200]}", cure=cure) from error
    if vectors.missing.any():
        raise StoreError(f"{int(vectors.missing.sum())} vectors of {table.stem} are gone", cure=cure)
    return vectors
