"""Checks of `selection_ledger` and `pooled_ledger`: the rows of a scope's current ledger, against its pools and itself.

What belongs here: reading. What does not: the rules (core.checks.ledger_rules, core.drop_rate).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deita_assets.core.checks import ledger_rules
from deita_assets.core.checks.finding import Finding
from deita_assets.core.checks.ledger_rules import LedgerCounts, LedgerLinks
from deita_assets.core.drop_rate import Drops, judge
from deita_assets.stores import calibrations, ledgers
from deita_assets.stores.ledgers import StoredLedger
from deita_assets.stores.sql import first, statement
from deita_assets.stores.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb


def check_ledger(warehouse: Warehouse, scope_kind: str, scope: str) -> list[Finding]:
    """Findings about the current ledger of a scope.

    Raises:
        NotFoundError: the scope has none yet.
    """
    with warehouse.read(f"checks of the ledger of {scope}") as con:
        ledger = ledgers.head_ledger(con, scope_kind, scope)
        return [
            ledger_rules.row_accounting(_counts(con, ledger)),
            ledger_rules.lineage_complete(_links(con, ledger)),
            _drop_rate(con, ledger),
        ]


def _pinned(ledger: StoredLedger) -> dict[str, list[str]]:
    pinned = ledger.spec["sources"]
    return {"sources": [source for source, _ in pinned], "versions": [version for _, version in pinned]}


def _counts(con: duckdb.DuckDBPyConnection, ledger: StoredLedger) -> LedgerCounts:
    mine, pools = {"ledger_id": ledger.ledger_id}, _pinned(ledger)
    n_ids, p_low, p_high, p_different, r_low, r_high, r_different, n_ranked = _one(con, "ledger_counts", mine)
    (n_pool,) = _one(con, "ledger_pool", pools)
    n_from_base = 0
    if ledger.spec.get("frozen_base"):
        (n_from_base,) = _one(con, "ledger_rows_elsewhere", {**mine, **pools})
    lacking = con.execute(statement("checks/ledger_lacking"), {**mine, **pools}).fetchall()
    return LedgerCounts(
        ledger.scope.kind, ledger.scope.name, ledger.ledger_id, ledger.n_rows, ledger.n_kept,
        n_pool=n_pool, n_from_base=n_from_base, n_ids=n_ids,
        verdicts=dict(con.execute(statement("checks/ledger_verdicts"), mine).fetchall()),
        positions=(p_low, p_high, p_different),
        ranks=(r_low, r_high, r_different, n_ranked),
        lacking=tuple(sample_id for (sample_id,) in lacking),
    )  # fmt: skip


def _links(con: duckdb.DuckDBPyConnection, ledger: StoredLedger) -> LedgerLinks:
    con.execute(statement("checks/ledger_links"), {"ledger_id": ledger.ledger_id, **_pinned(ledger)})
    n_chosen, n_nowhere, n_unscored, n_unblocked = _one(con, "ledger_link_counts", {})
    named: dict[str, list[str]] = {"nowhere": [], "unscored": [], "unblocked": []}
    for fault, sample_id in con.execute(statement("checks/ledger_link_examples")).fetchall():
        named[fault].append(sample_id)
    return LedgerLinks(
        ledger.scope.kind, ledger.scope.name, ledger.ledger_id, n_chosen,
        tuple(named["nowhere"]), n_nowhere,
        tuple(named["unscored"]), n_unscored,
        tuple(named["unblocked"]), n_unblocked,
    )  # fmt: skip


def _drop_rate(con: duckdb.DuckDBPyConnection, ledger: StoredLedger) -> Finding:
    drops = Drops(0, 0, 0)
    if ledger.threshold is not None:
        drops = calibrations.drops(con, ledger.ledger_id, ledger.threshold)
    judged = judge(ledger.scope.name, ledger.threshold, drops)
    return Finding(
        "drop_rate", judged.passed, judged.message,
        numbers={"kept": drops.kept, "dropped": drops.dropped, "near_threshold": drops.near},
    )  # fmt: skip


def _one(con: duckdb.DuckDBPyConnection, name: str, parameters: dict[str, Any]) -> tuple[Any, ...]:
    return first(con.execute(statement(f"checks/{name}"), parameters)) or ()
