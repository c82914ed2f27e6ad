"""The rows of a ledger in visiting order, and their vectors: what a pass needs before it can start or go on.

What belongs here: which rows can be selected, in which order, and why the others cannot.
What does not: the pass, and its verdicts about rows that can.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.evol_score import aggregate
from deita_assets.core.row_filters import EXACT_DUPLICATE, exact_duplicates
from deita_assets.core.shuffled_order import shuffled_order
from deita_assets.core.verdicts import CONTAMINATED, EXCLUDED, INVALID, UNSCORED, UNVISITED
from deita_assets.engines.contamination import Contaminated
from deita_assets.engines.screen import Screen
from deita_assets.stores.home import Home
from deita_assets.stores.ledgers import Candidates
from deita_assets.stores.ordered_vectors import OrderedVectors
from deita_assets.stores.selections import BaseRow
from deita_assets.stores.sql import statement
from deita_assets.stores.vectors import EmbeddingTable

if TYPE_CHECKING:
    import duckdb

#: Reason of the rows of a frozen base.
FROZEN = "frozen_base"


@dataclass
class RankedRows:
    """Every row of a ledger with what is known before the pass.

    Attributes:
        sample_ids: (n,).
        contents: (n,) content_sha256.
        sources: (n,).
        evol_score: (n,) float64, NaN for unscored rows.
        verdict: (n,) `unvisited`, or what a row is that cannot be selected.
        reason: (n,) why it is that.
        blocked_by: (n,) the row that made it so, where there is one.
        similarity: (n,) float64, similarity to that row, NaN where it is not known.
        order: (selectable rows,) int64, row numbers in visiting order; the frozen ones first.
        frozen: how many of them are frozen.
    """

    sample_ids: list[str]
    contents: list[str]
    sources: list[str]
    evol_score: NDArray[np.float64]
    verdict: list[str]
    reason: list[str | None]
    blocked_by: list[str | None]
    similarity: NDArray[np.float64]
    order: NDArray[np.int64]
    frozen: int = 0

    def decide(
        self,
        row: int,
        verdict: str,
        reason: str,
        blocked_by: str | None = None,
        similarity: float | None = None,
    ) -> None:
        """Note why a row cannot be selected."""
        self.verdict[row], self.reason[row], self.blocked_by[row] = verdict, reason, blocked_by
        self.similarity[row] = np.nan if similarity is None else similarity


def rank_rows(
    home: Home,
    spec: Mapping[str, Any],
    candidates: Candidates,
    screen: Screen,
    contaminated: Mapping[str, Contaminated],
) -> tuple[RankedRows, OrderedVectors]:
    """Put the rows that can be selected into order, and say of all others why they cannot.

    By evol_score descending, then content hash, then source; `random` shuffles; a frozen base goes first, as it was.
    """
    rows, frozen = _all_rows(candidates, screen.base, spec["aggregation"])
    free = [at for at in range(len(candidates.sample_ids)) if rows.reason[at] != FROZEN]
    for at in free:
        _screen(rows, at, candidates.unscored[at], screen, contaminated)
    vectors = OrderedVectors(EmbeddingTable(home, spec["fingerprints"]["embedder"]), rows.contents)
    for at in free:
        if rows.verdict[at] == UNVISITED and vectors.missing[at]:
            rows.decide(at, INVALID, "no_embedding")
    free = [at for at in free if rows.verdict[at] == UNVISITED]
    _settle_exact_duplicates(rows, frozen, free, [source for source, _ in spec["sources"]])
    rows.order = np.asarray(frozen + _visiting_order(rows, free, spec["selector"]), np.int64)
    rows.frozen = len(frozen)
    return rows, vectors


def _all_rows(
    candidates: Candidates, base: tuple[BaseRow, ...], aggregation: str
) -> tuple[RankedRows, list[int]]:
    """The pool's rows, behind them the shipped ones that left it; and the places of all shipped rows, in order."""
    known = set(candidates.sample_ids)
    gone = [row for row in base if row.sample_id not in known]
    ids = candidates.sample_ids + [row.sample_id for row in gone]
    evol = [math.nan if p is None else aggregate(p, aggregation) for p in candidates.products]
    n = len(ids)
    rows = RankedRows(
        sample_ids=ids,
        contents=candidates.contents + [row.content_sha256 for row in gone],
        sources=candidates.sources + [row.source for row in gone],
        evol_score=np.array(evol + [row.evol_score for row in gone], np.float64),
        verdict=[UNVISITED] * n,
        reason=[None] * n,
        blocked_by=[None] * n,
        similarity=np.full(n, np.nan),
        order=np.empty(0, np.int64),
    )
    place = {sample_id: at for at, sample_id in enumerate(ids)}
    frozen = [place[row.sample_id] for row in base]
    for at, row in zip(frozen, base, strict=True):
        rows.evol_score[at], rows.reason[at] = (
            row.evol_score,
            FROZEN,
        )  # as it was shipped, whatever it scores now
    return rows, frozen


def _screen(
    rows: RankedRows, at: int, unscored: str | None, screen: Screen, contaminated: Mapping[str, Contaminated]
) -> None:
    """Note why one row cannot be selected, if it cannot: a filter first, then contamination, then a lost score."""
    sample_id = rows.sample_ids[at]
    if sample_id in screen.excluded:
        rows.decide(at, EXCLUDED, screen.excluded[sample_id])
    elif found := contaminated.get(sample_id):
        rows.decide(at, CONTAMINATED, found.reason, found.by, found.similarity)
    elif not math.isfinite(rows.evol_score[at]):
        rows.decide(at, UNSCORED, unscored or "non_finite")


def _settle_exact_duplicates(
    rows: RankedRows, frozen: list[int], free: list[int], priority: list[str]
) -> None:
    """Of rows with one content only one can be selected: the shipped one, else that of the first source."""
    shipped = {rows.contents[at]: rows.sample_ids[at] for at in frozen}
    standing = {
        sample_id: shipped[rows.contents[at]]
        for at, sample_id in ((at, rows.sample_ids[at]) for at in free)
        if rows.contents[at] in shipped
    }
    if len(priority) > 1:
        rest = [at for at in free if rows.sample_ids[at] not in standing]
        standing |= exact_duplicates(
            [(rows.sample_ids[at], rows.contents[at], rows.sources[at]) for at in rest], priority
        )
    for at in free:
        if stands := standing.get(rows.sample_ids[at]):
            rows.decide(at, EXCLUDED, EXACT_DUPLICATE, stands)


def _visiting_order(rows: RankedRows, free: list[int], selector: Mapping[str, Any]) -> list[int]:
    """Rows that can be selected, best first; `random` shuffles."""
    open_rows = [at for at in free if rows.verdict[at] == UNVISITED]
    if selector["name"] == "random":
        keys = [f"{rows.contents[at]}:{rows.sources[at]}" for at in open_rows]
        return [open_rows[place] for place in shuffled_order(keys, selector["seed"])]
    return sorted(open_rows, key=lambda at: (-rows.evol_score[at], rows.contents[at], rows.sources[at]))


def stored_order(con: duckdb.DuckDBPyConnection, ledger_id: str) -> RankedRows:
    """The rows of a stored ledger as they were ranked then."""
    found = con.execute(statement("selection/stored_order"), {"ledger_id": ledger_id}).fetchall()
    ids, contents, sources, ranks, verdicts, reasons, scores, blocked_by, similarity = (
        [list(column) for column in zip(*found, strict=True)] if found else [[]] * 9
    )
    # A pass decides the rows that have a rank; whatever it had found before is found again.
    ranked = [rank is not None for rank in ranks]
    rank = np.array([rank or -1 for rank in ranks], np.int64)
    order = np.flatnonzero(rank > 0)
    return RankedRows(
        sample_ids=ids,
        contents=contents,
        sources=sources,
        evol_score=np.array([math.nan if score is None else score for score in scores], np.float64),
        verdict=[UNVISITED if has else verdict for has, verdict in zip(ranked, verdicts, strict=True)],
        reason=reasons,
        blocked_by=[None if has else by for has, by in zip(ranked, blocked_by, strict=True)],
        similarity=np.array(
            [math.nan if has or s is None else s for has, s in zip(ranked, similarity, strict=True)],
            np.float64,
        ),
        order=order[np.argsort(rank[order], kind="stable")],
        frozen=sum(reason == FROZEN for reason in reasons),
    )
