"""What the pages of ledgers and subsets show of a pass: its budgets, other thresholds, and pairs near its threshold.

What belongs here: presentation. What does not: what is computed (engines.ledger_page), or the assets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import dagster as dg

from deita_assets.core.verdicts import KEPT, NEAR_DUPLICATE
from deita_assets.defs.metadata import counts, numbers, picture, table, text_table
from deita_assets.defs.platform import Platform
from deita_assets.engines.ledger_page import BudgetReach, LedgerPage, ThresholdCurve, ledger_page
from deita_assets.engines.parameters import SelectionParameters
from deita_assets.engines.plots import rank_plot, threshold_plot
from deita_assets.partitions import known_budgets
from deita_assets.stores import ledgers
from deita_assets.stores.ledger_facts import BudgetPoint
from deita_assets.stores.ledgers import Scope, StoredLedger

#: Metadata key of the picture of kept rows against the threshold.
THRESHOLD_CURVE = "threshold_curve"
#: Thresholds besides its own that the line below the picture tells of.
_TOLD = (0.7, 0.8, 0.9, 0.95)


def budgets_of(platform: Platform, instance: dg.DagsterInstance, scope: Scope) -> list[int]:
    """Budgets that settings name for a scope and those that are partitions, smallest first."""
    return sorted({*platform.settings.wanted_budgets(scope.kind, scope.name), *known_budgets(instance)})


def ledger_metadata(
    platform: Platform,
    ledger: StoredLedger,
    parameters: SelectionParameters,
    *,
    budgets: Sequence[int],
    passed: ThresholdCurve | None,
    last: Mapping[str, dg.MetadataValue[Any]],
) -> dict[str, Any]:
    """Metadata of a ledger, in the order in which people look.

    Args:
        platform: of the home.
        ledger: as it is stored.
        parameters: that made it.
        budgets: to be marked.
        passed: other thresholds over the best rows, where a pass has just compared them.
        last: metadata of the latest materialisation; of the same ledger, its curve is shown again.
    """
    with platform.warehouse.read(f"ledger {ledger.ledger_id}: counts") as con:
        verdicts = ledgers.verdict_counts(con, ledger.ledger_id)
    page = ledger_page(platform.warehouse, ledger, budgets, show_rows=platform.settings.sample_rows_in_ui)
    compared = verdicts.get(KEPT, 0) + verdicts.get(NEAR_DUPLICATE, 0)
    return {
        "dagster/partition_row_count": ledger.n_rows,
        "kept": ledger.n_kept,
        "visited": ledger.n_visited,
        "drop_rate": round(verdicts.get(NEAR_DUPLICATE, 0) / max(compared, 1), 4),
        "verdicts": counts(verdicts, "verdict"),
        "exhausted": ledger.exhausted,
        **_budgets(page.reach, ledger),
        **_curve(ledger, page.calibrated or passed, last),
        **_pairs(page, ledger),
        **({} if ledger.threshold is None else {"threshold": ledger.threshold}),
        "selector": parameters.selector,
        "aggregation": parameters.aggregation,
        "sources": len(ledger.scope.sources),
        "ledger_id": ledger.ledger_id,
    }


def subset_budget(reach: BudgetReach, ledger: StoredLedger, budget: int) -> dict[str, Any]:
    """Where a budget stands on the ledger that it was cut from, and what the next one would add."""
    at = next((place for place, point in enumerate(reach.points) if point.budget == budget), None)
    if at is None:
        return {}
    here, after = reach.points[at], reach.points[at + 1 : at + 2]
    return {
        **numbers(
            lowest_evol_score=here.lowest_evol_score,
            pool_reached=here.rank / max(ledger.n_rows, 1),
            near_duplicates_passed=here.near_duplicates,
        ),
        **_budget_curve(reach, ledger, at),
        "next_budget": _next(here, after[0], ledger) if after else _nothing_further(here, ledger),
    }


def _budgets(reach: BudgetReach, ledger: StoredLedger) -> dict[str, Any]:
    if not reach.points:
        return {}
    rows = [
        (
            f"{point.budget:,}",
            f"{point.lowest_evol_score:.2f}",
            f"{point.rank / max(ledger.n_rows, 1):.1%}",
            f"{point.near_duplicates:,}",
            _next(point, after, ledger) if after else _nothing_further(point, ledger),
        )
        for point, after in zip_longest(reach.points, reach.points[1:])
    ]
    header = ["budget", "lowest evol_score", "pool reached", "near-duplicates passed", "the next budget adds"]
    return {**_budget_curve(reach, ledger, None), "budgets": table(header, rows)}


def _budget_curve(reach: BudgetReach, ledger: StoredLedger, current: int | None) -> dict[str, Any]:
    if ledger.spec["selector"]["name"] == "random":  # its ranks are shuffled: no curve
        return {}
    marks = [(point.rank, f"{point.budget:,}") for point in reach.points]
    caption = "evol_score by rank, log axis; lines: budgets"
    drawn = rank_plot(reach.scores, marks, current=current)
    return {"budget_curve": picture(drawn, "evol_score against rank", caption)}


def _next(here: BudgetPoint, after: BudgetPoint, ledger: StoredLedger) -> str:
    more = after.rows - here.rows
    if not more:
        return _nothing_further(here, ledger)
    passed = after.near_duplicates - here.near_duplicates
    return (
        f"{after.budget:,}: {more:,} more rows, evol_score {here.lowest_evol_score:.2f} down to "
        f"{after.lowest_evol_score:.2f}, past {passed:,} near-duplicates"
    )


def _nothing_further(here: BudgetPoint, ledger: StoredLedger) -> str:
    if ledger.exhausted and here.rows >= ledger.n_kept:
        return "nothing: no other row can be kept"
    return f"not known: the pass kept {ledger.n_kept:,} rows so far"


def _curve(
    ledger: StoredLedger, curve: ThresholdCurve | None, last: Mapping[str, dg.MetadataValue[Any]]
) -> dict[str, Any]:
    if ledger.threshold is None:
        return {}
    if curve is None:
        same = THRESHOLD_CURVE in last and last["ledger_id"].value == ledger.ledger_id
        return {THRESHOLD_CURVE: last[THRESHOLD_CURVE]} if same else {}
    if not curve.visited:
        return {}
    by = f"by calibration {curve.calibration_id}, " if curve.calibration_id else ""
    told = ", ".join(
        f"{point.threshold:g} keeps {point.kept:,}"
        for point in curve.points
        if point.threshold in (*_TOLD, ledger.threshold)
    )
    drawn = threshold_plot(
        [point.threshold for point in curve.points], [point.kept for point in curve.points],
        visited=curve.visited, current=ledger.threshold,
    )  # fmt: skip
    caption = f"{by}of the best {curve.visited:,} rows: {told}"
    return {THRESHOLD_CURVE: picture(drawn, "rows kept against the threshold", caption)}


def _pairs(page: LedgerPage, ledger: StoredLedger) -> dict[str, Any]:
    """Rows on either side of the threshold; a selector that compares nothing has none."""
    if ledger.threshold is None:
        return {}
    sides = {
        "near_duplicates": (["similarity", "dropped", "kept row that blocked it"], page.near_duplicates),
        "near_misses": (["similarity", "kept", "nearest row kept before it"], page.near_misses),
    }
    return {
        name: text_table(header, [(f"{similarity:.4f}", *texts) for similarity, *texts in rows])
        if rows
        else dg.MetadataValue.md("none")
        for name, (header, rows) in sides.items()
    }
