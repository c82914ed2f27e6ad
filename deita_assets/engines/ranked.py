"""The rows of a ledger in rank order, and their vectors: what a pass needs before it can start or go on.

What belongs here: which rows can be selected, in which order, and why the others cannot.
What does not: the pass, and its verdicts about rows that can.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.evol_score import aggregate
from deita_assets.errors import StoreError
from deita_assets.stores.home import Home
from deita_assets.stores.ledgers import Candidates
from deita_assets.stores.vectors import EmbeddingTable, comparable

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class RankedRows:
    """Every row of a scope in candidate order, ranked, before any verdict.

    Attributes:
        sample_ids: (n,).
        contents: (n,) content_sha256.
        evol_score: (n,) float64, NaN for unscored rows.
        reason: (n,) why a row cannot be selected.
        verdict: (n,) `unvisited`, or what a row is that cannot be selected: `unscored`, `invalid`.
        order: (ranked rows,) int64, rows that can be selected, best first.
    """

    sample_ids: list[str]
    contents: list[str]
    evol_score: NDArray[np.float64]
    reason: list[str | None]
    verdict: list[str]
    order: NDArray[np.int64]


class RowVectors:
    """Stored vectors of some rows, read from Lance once and taken by candidate row.

    Attributes:
        missing: rows that have no stored vector.
        unusable: rows whose stored vector is zero or not finite, so that nothing can be compared with it.
    """

    def __init__(self, home: Home, embedder_fp: str, contents: list[str], rows: NDArray[np.int64]) -> None:
        table = EmbeddingTable(home, embedder_fp)
        self.name, self.dimension = table.name, table.dimension
        self._vectors, found = table.load([contents[at] for at in rows])
        self.missing, self.unusable = rows[~found], rows[found & ~comparable(self._vectors)]
        self._place = np.full(len(contents), -1, np.int64)
        self._place[rows] = np.arange(len(rows))

    def require_all(self) -> None:
        """Refuse to go on with a ledger whose vectors are no longer there.

        Raises:
            StoreError: some are missing or damaged.
        """
        lost = len(self.missing) + len(self.unusable)
        if lost:
            raise StoreError(
                f"{lost} vectors of {self.name} that this ledger compared are gone or damaged.",
                cure="Materialise `embeddings` again.",
            )

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """Vectors of candidate rows, (len(rows), dimension)."""
        return self._vectors[self._place[rows]]


def rank_rows(home: Home, spec: Mapping[str, Any], candidates: Candidates) -> tuple[RankedRows, RowVectors]:
    """Total order of the rows that can be selected: evol_score descending, then content hash, then source."""
    evol = np.array(
        [np.nan if p is None else aggregate(p, spec["aggregation"]) for p in candidates.products], np.float64
    )
    reasons: list[str | None] = list(candidates.unscored)
    verdicts = ["unvisited"] * len(evol)
    for at in np.flatnonzero(~np.isfinite(evol)):
        verdicts[at] = "unscored"
        reasons[at] = reasons[at] or "non_finite"
    scored_rows = np.flatnonzero(np.isfinite(evol))
    vectors = RowVectors(home, spec["fingerprints"]["embedder"], candidates.contents, scored_rows)
    for rows, reason in ((vectors.missing, "no_embedding"), (vectors.unusable, "unusable_embedding")):
        for at in rows:
            verdicts[at], reasons[at] = "invalid", reason
    valid = [at for at, verdict in enumerate(verdicts) if verdict == "unvisited"]
    valid.sort(key=lambda at: (-evol[at], candidates.contents[at], candidates.sources[at]))
    order = np.asarray(valid, np.int64)
    return RankedRows(candidates.sample_ids, candidates.contents, evol, reasons, verdicts, order), vectors


def stored_order(con: duckdb.DuckDBPyConnection, ledger_id: str) -> RankedRows:
    """The rows of a stored ledger as they were ranked then."""
    rows = con.execute(
        "select r.sample_id, c.content_sha256, r.rank, r.verdict, r.reason, r.evol_score "
        "from store.ledger_row r join store.conversation c on c.sample_id = r.sample_id where r.ledger_id = ?",
        [ledger_id],
    ).fetchall()
    ranks = np.array([-1 if row[2] is None else row[2] for row in rows], np.int64)
    order = np.flatnonzero(ranks > 0)
    return RankedRows(
        [row[0] for row in rows],
        [row[1] for row in rows],
        np.array([np.nan if row[5] is None else row[5] for row in rows], np.float64),
        [row[4] for row in rows],
        ["unvisited" if row[2] is not None else row[3] for row in rows],
        order[np.argsort(ranks[order], kind="stable")],
    )
