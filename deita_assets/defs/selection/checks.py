"""Checks of `selection_ledger`, `pooled_ledger`, `selected_subset` and `pooled_subset`.

What belongs here: their names and wiring. What does not: the rules (core.checks, core.drop_rate), or the reading.
"""

from __future__ import annotations

from collections.abc import Sequence

from deita_assets.core.checks.finding import Finding
from deita_assets.defs.check_records import FILES_INTACT, LINEAGE_COMPLETE, ROW_ACCOUNTING
from deita_assets.defs.check_steps import Look, checks_of
from deita_assets.defs.platform import Platform
from deita_assets.defs.selection.ledgers import pooled_ledger, selection_ledger
from deita_assets.defs.selection.subsets import pooled_subset, selected_subset
from deita_assets.engines.checks.ledgers import check_ledger
from deita_assets.engines.checks.subsets import check_subset

_LEDGER = {
    ROW_ACCOUNTING: "A verdict for every row of the pools, kept rows numbered without a gap.",
    LINEAGE_COMPLETE: "Every row kept or dropped stands in a file, has a score, and a dropped one names the kept one.",
    "drop_rate": "Warns when a threshold drops fewer than 1 % or more than 90 % of the rows and pairs are near it.",
}
_SUBSET = {
    LINEAGE_COMPLETE: "Every member stands in a file and line, and has the scores and vector it was chosen by.",
    FILES_INTACT: "The files in the folder have the sha256 that the manifest says.",
    "budget_met": "As many rows as the budget asks for; says why where the pool has no more. Warns.",
    "licence_present": "Somebody said under which licence each source of selected rows stands. Warns.",
}


def _ledger_of(kind: str) -> Look:
    def look(platform: Platform, scope: str) -> Sequence[Finding]:
        return check_ledger(platform.warehouse, kind, scope)

    return look


def _subset_of(kind: str) -> Look:
    def look(platform: Platform, partition: str) -> Sequence[Finding]:
        budget, scope = partition.split("|")
        return check_subset(platform.warehouse, kind, scope, int(budget))

    return look


selection_ledger_checks = checks_of(selection_ledger, _LEDGER, _ledger_of("source"))
pooled_ledger_checks = checks_of(pooled_ledger, _LEDGER, _ledger_of("mixture"))
selected_subset_checks = checks_of(selected_subset, _SUBSET, _subset_of("source"))
pooled_subset_checks = checks_of(pooled_subset, _SUBSET, _subset_of("mixture"))
