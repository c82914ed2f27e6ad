"""Checks of `selected_subset` and `pooled_subset`: the current version of a scope and budget, traced back.

What belongs here: reading. What does not: the rules (core.checks.subset_rules).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from deita_assets.core.checks import pool_rules, subset_rules
from deita_assets.core.checks.finding import MOST_EXAMPLES, Finding
from deita_assets.core.checks.subset_rules import MemberTrail
from deita_assets.errors import NotFoundError, StoreError
from deita_assets.exports.card import unknown_licences
from deita_assets.stores import ledgers, selections
from deita_assets.stores.registered import Registered, registered
from deita_assets.stores.sql import statement
from deita_assets.stores.subsets import check_folder
from deita_assets.stores.vectors import EmbeddingTable, ScoreTable
from deita_assets.stores.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb


def check_subset(warehouse: Warehouse, scope_kind: str, scope: str, budget: int) -> list[Finding]:
    """Findings about the current version of a scope and budget.

    Raises:
        NotFoundError: the scope has none at this budget yet.
    """
    with warehouse.read(f"checks of {scope} at {budget}") as con:
        version = selections.head_members(con, scope_kind, scope, budget)
        if version is None:
            raise NotFoundError(
                f"{scope_kind} {scope!r} has no selection of {budget} rows yet.",
                cure=f"Run `deita-assets curate --{scope_kind} {scope} --budget {budget}`.",
            )
        one = registered(con, version)
        ledger = ledgers.find_ledger(con, one.ledger_id)
        verdicts = ledgers.verdict_counts(con, one.ledger_id, budget)
        sources = selections.source_rows(con, one.spec)
        nowhere, prompts, contents = _members(con, one)
    mix = Counter(member.sample_id.partition(":")[0] for member in one.members)
    unscored = _unscored(warehouse, one, prompts)
    unembedded = _unembedded(warehouse, one, contents)
    trail = MemberTrail(
        scope_kind, scope, version, len(one.members), tuple(one.alterations()),
        tuple(nowhere[:MOST_EXAMPLES]), len(nowhere),
        tuple(unscored[:MOST_EXAMPLES]), len(unscored),
        tuple(unembedded[:MOST_EXAMPLES]), len(unembedded),
    )  # fmt: skip
    exhausted = ledger.exhausted if ledger else True
    return [
        subset_rules.lineage_complete(trail),
        _files(warehouse, scope, one),
        subset_rules.budget_met(scope_kind, scope, budget, len(one.members), verdicts, exhausted),
        pool_rules.licence_present(scope, unknown_licences(sources, mix), len(mix)),
    ]


_Prompts = list[tuple[str, str, str]]
_Contents = list[tuple[str, str]]


def _members(con: duckdb.DuckDBPyConnection, one: Registered) -> tuple[list[str], _Prompts, _Contents]:
    """Members in no file; prompts of the turns of the others than frozen ones; and their contents."""
    mine = {"version": one.version}
    nowhere = con.execute(statement("checks/member_files"), mine).fetchall()
    chosen = {**mine, "ledger_id": one.ledger_id}
    prompts = con.execute(statement("checks/member_prompts"), chosen).fetchall()
    contents = con.execute(statement("checks/member_contents"), chosen).fetchall()
    return [str(sample_id) for (sample_id,) in nowhere], prompts, contents


def _unscored(warehouse: Warehouse, one: Registered, prompts: _Prompts) -> list[str]:
    """Members with a turn that has no score of the spec's scorers."""
    table = ScoreTable(warehouse.home)
    lacking: set[str] = set()
    for place, measure in ((1, "complexity"), (2, "quality")):
        results = table.results(measure, one.spec["fingerprints"][measure])
        known = set(results.filter(results["score"].is_valid())["prompt_sha256"].to_pylist())
        lacking.update(turn[0] for turn in prompts if turn[place] not in known)
    return sorted(lacking)


def _unembedded(warehouse: Warehouse, one: Registered, contents: _Contents) -> list[str]:
    """Members without a vector of the spec's embedder."""
    table = EmbeddingTable(warehouse.home, one.spec["fingerprints"]["embedder"])
    row_ids = table.row_ids([content for _, content in contents])
    return sorted(contents[at][0] for at in (row_ids < 0).nonzero()[0])


def _files(warehouse: Warehouse, scope: str, one: Registered) -> Finding:
    """Every file is read once more: 30 ms for 20 MB, and nothing else would notice."""
    try:
        manifest = check_folder(warehouse.home.root / one.directory)
    except StoreError as error:
        return subset_rules.files_intact(scope, one.version, 0, 0, error.message, error.cure)
    entries = manifest["files"].values()
    n_bytes = sum(entry["bytes"] for entry in entries)
    return subset_rules.files_intact(scope, one.version, len(entries), n_bytes, "", "")
