"""From a spec and ranked rows to a pass that decides them, new or taken up where a stored one stopped.

What belongs here: which pass a selector is, quotas out of a spec, and what to take over from stored rows. What does
not: the passes themselves (core), or where their outcome goes (select).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.block_kernel import BlockKernel
from deita_assets.core.facility_location_pass import FacilityLocationPass
from deita_assets.core.incremental_earlier import EarlierPass, earlier_pass
from deita_assets.core.incremental_pass import IncrementalPass
from deita_assets.core.k_center_pass import KCenterPass
from deita_assets.core.quotas import NO_CAP, Quotas
from deita_assets.core.repr_filter import GreedyPass, Progress
from deita_assets.core.score_only_pass import ScoreOnlyPass
from deita_assets.core.selection_pass import SelectionPass
from deita_assets.engines.ranked import RankedRows
from deita_assets.errors import SettingsError
from deita_assets.stores.ledgers import VisitedRows
from deita_assets.stores.ordered_vectors import OrderedVectors

NewKernel = Callable[[], BlockKernel]


@dataclass(frozen=True)
class Decided:
    """What a stored pass had decided, in the ranks of its order; (n,) arrays over the whole order."""

    visited: int
    kept: NDArray[np.int64]
    blocked_by: NDArray[np.int64]
    similarity: NDArray[np.float64]

    @classmethod
    def of_rows(cls, ranked: RankedRows, rows: VisitedRows) -> Decided:
        """Stored rows, told in ranks."""
        rank_of = {ranked.sample_ids[row]: rank for rank, row in enumerate(ranked.order)}
        n = len(ranked.order)
        blocked_by, similarity = np.full(n, -1, np.int64), np.full(n, np.nan)
        at = np.array([rank_of[sample_id] for sample_id in rows.sample_ids], np.int64)
        blocked_by[at] = [-1 if by is None else rank_of[by] for by in rows.blocked_by]
        similarity[at] = [math.nan if found is None else found for found in rows.similarity]
        positions = np.array([position or 0 for position in rows.kept_position], np.int64)
        kept = np.flatnonzero(positions)
        return cls(len(rows), at[kept[np.argsort(positions[kept])]], blocked_by, similarity)


def start_pass(
    spec: Mapping[str, Any],
    ranked: RankedRows,
    vectors: OrderedVectors,
    new_kernel: NewKernel,
    decided: Decided | None = None,
    earlier: EarlierPass | None = None,
) -> SelectionPass:
    """The pass of a prefix-stable selector: new, gone on with (`decided`), or sparing what another one found."""
    name = spec["selector"]["name"]
    vectors.follow(ranked.order)
    quotas = _quotas(spec["selector"], ranked, None)
    if name in ("k_center", "facility_location"):
        whole = KCenterPass if name == "k_center" else FacilityLocationPass
        if decided is None:
            return whole(vectors, ranked.order, ranked.frozen)
        return whole.resume(
            vectors, ranked.order, frozen=ranked.frozen,
            kept=decided.kept, blocked_by=decided.blocked_by, similarity=decided.similarity,
        )  # fmt: skip
    if name != "repr_filter":  # quick enough to be run anew
        return _walk(spec["selector"], ranked, vectors, new_kernel, quotas)
    threshold = spec["selector"]["threshold"]
    if earlier is not None and quotas is None:
        return IncrementalPass(
            vectors, ranked.order, threshold, new_kernel(), earlier=earlier, frozen=ranked.frozen
        )
    if decided is None:
        return _walk(spec["selector"], ranked, vectors, new_kernel, quotas)
    return GreedyPass.resume(
        vectors, ranked.order, threshold, new_kernel(), frozen=ranked.frozen, quotas=quotas,
        visited=decided.visited, kept=decided.kept, blocked_by=decided.blocked_by, similarity=decided.similarity,
    )  # fmt: skip


def _walk(
    selector: Mapping[str, Any],
    ranked: RankedRows,
    vectors: OrderedVectors,
    new_kernel: NewKernel,
    quotas: Quotas | None,
) -> SelectionPass:
    """A new pass of a selector that goes down the order."""
    if selector["name"] != "repr_filter":
        return ScoreOnlyPass(ranked.order, ranked.frozen, quotas)
    return GreedyPass(
        vectors, ranked.order, selector["threshold"], new_kernel(), frozen=ranked.frozen, quotas=quotas
    )


def told_earlier(ranked: RankedRows, rows: VisitedRows) -> EarlierPass:
    """What a stored pass over other rows or another order still says about these.

    A sample id stands for a content, and with one embedder for a vector.
    """
    return earlier_pass(
        [ranked.sample_ids[row] for row in ranked.order],
        rows.sample_ids,
        kept=[position is not None for position in rows.kept_position],
        blocked_by=rows.blocked_by,
        similarity=[math.nan if found is None else found for found in rows.similarity],
    )


def run_for_one_budget(
    spec: Mapping[str, Any],
    ranked: RankedRows,
    vectors: OrderedVectors,
    new_kernel: NewKernel,
    on_progress: Progress | None,
) -> tuple[SelectionPass, dict[str, int]]:
    """The whole pass of a selector whose quotas depend on the budget, which stands in the spec.

    Floors that the pool cannot meet are lowered to what it holds and the pass is made again: rows that waited for
    them get their places. Each time at least one floor falls, so it ends.

    Returns:
        (the pass, source -> floor that was lowered).
    """
    selector = dict(spec["selector"])
    lowered: dict[str, int] = {}
    budget = spec["budget"] or max(1, len(ranked.order))
    vectors.follow(ranked.order)
    held = Counter(ranked.sources[row] for row in ranked.order)
    for source, floor in selector.get("floors", {}).items():
        if held[source] < floor:
            lowered[source] = held[source]
    selector["floors"] = {**selector.get("floors", {}), **lowered}
    while True:
        quotas = _quotas(selector, ranked, budget)
        done = _walk(selector, ranked, vectors, new_kernel, quotas)
        if len(ranked.order):
            done.run(budget, on_progress)
        short = _short(quotas, ranked)
        if not (done.exhausted and short):
            return done, lowered
        for source, missing in short.items():
            lowered[source] = selector["floors"][source] - missing
        selector["floors"] = {**selector["floors"], **lowered}


def _groups(ranked: RankedRows) -> list[str]:
    return sorted(set(ranked.sources))


def _short(quotas: Quotas | None, ranked: RankedRows) -> dict[str, int]:
    """Source -> rows that it still lacks to its floor."""
    if quotas is None:
        return {}
    return {
        source: int(missing)
        for source, missing in zip(_groups(ranked), quotas.shortfall, strict=True)
        if missing
    }


def _quotas(selector: Mapping[str, Any], ranked: RankedRows, budget: int | None) -> Quotas | None:
    """Caps and floors of a selector's spec, at one budget where shares or floors ask for it."""
    caps, shares, floors = (selector.get(name, {}) for name in ("caps", "shares", "floors"))
    if not (caps or shares or floors):
        return None
    sources = _groups(ranked)
    at = {source: place for place, source in enumerate(sources)}
    most = {source: min(caps.get(source, NO_CAP), _share(shares.get(source), budget)) for source in sources}
    least = {source: min(floors.get(source, 0), most[source]) for source in sources}
    owed = sum(least.values())
    if budget is not None and owed > budget:
        raise SettingsError(
            f"floors ask for {owed:,} rows, but the budget is {budget:,}.",
            cure="Lower the floors, or select a larger budget.",
        )
    return Quotas(
        np.array([at[source] for source in ranked.sources], np.int64),
        [most[source] for source in sources],
        [least[source] for source in sources] if floors and budget is not None else None,
        budget if floors else None,
    )


def _share(share: float | None, budget: int | None) -> int:
    """Rows that a share of the budget is at most; 2**-30 keeps 0.3 * 10 from becoming 2."""
    return NO_CAP if share is None or budget is None else math.floor(share * budget + 2.0**-30)
