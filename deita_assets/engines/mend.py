"""Mending: what a check refused is taken out, so that the asset, run again, makes it anew.

Results in LanceDB are otherwise only added, ledgers and versions only replaced by others; a fault would stay for ever.
What is taken out can be computed again, and equal fingerprints give equal results. A kill between two steps leaves
less than there should be, never more: ledgers go before the results that they were made of.

What belongs here: taking out, after looking once more. What does not: the rules (core.checks), or when (defs.mending).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from deita_assets.core.checks.finding import Finding
from deita_assets.engines.checks.embeddings import STEP, doubled_contents, read_lengths
from deita_assets.engines.checks.ledgers import check_ledger
from deita_assets.engines.checks.scores import bad_prompts
from deita_assets.engines.checks.subsets import check_subset
from deita_assets.engines.cover import LOCK_WAIT_S
from deita_assets.errors import NotFoundError, StoreError
from deita_assets.stores import ledgers, let_go, scored, selections
from deita_assets.stores.lance_keys import drop_copies, drop_keys
from deita_assets.stores.lock import file_lock
from deita_assets.stores.registered import registered
from deita_assets.stores.selections import Selection
from deita_assets.stores.vectors import SCORES, ScoreTable
from deita_assets.stores.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb

#: Names of the checks, and the numbers of theirs, that only an altered ledger or registry makes bad.
_ACCOUNTING, _LINEAGE = "row_accounting", "lineage_complete"
_OF_THE_LEDGER = ("without_score", "without_blocker")


def mend_scores(warehouse: Warehouse, source: str, measure: str) -> int:
    """Take out needless copies of results, and the refused results of a pool; returns how many rows.

    Of equal copies one stays, whichever pools their prompt is in. Prompts of the pool of `source` whose copies differ,
    or whose result is not what its status says, lose all; so do ledgers made of them (`let_go.ledgers_of`).
    """
    scorer = _covered_by(warehouse, source, measure)
    if scorer is None:
        return 0
    lock = warehouse.home.locks / f"{measure}-{scorer}.lock"
    with file_lock(lock, f"mend {measure} of {source}", deadline_s=LOCK_WAIT_S):
        table = ScoreTable(warehouse.home)
        mine = f"measure = '{measure}' AND scorer_fp = '{scorer}'"
        copied = ("score_key", "score", "status")
        taken = drop_copies(warehouse.home, SCORES, "prompt_sha256", copied, where=mine)
        bad = bad_prompts(warehouse, source, measure, table.results(measure, scorer))
        _let_ledgers_go(warehouse, source, measure, scorer, bad)
        return taken + drop_keys(warehouse.home, SCORES, "prompt_sha256", bad, where=mine)


def mend_embeddings(warehouse: Warehouse, source: str) -> int:
    """Take out needless copies of vectors, and the refused vectors of a pool; returns how many rows.

    Of equal copies one stays, whichever pools their content is in. Contents of the pool of `source` whose copies
    differ, or whose vector is not of length one, lose all; so do ledgers made of them (`let_go.ledgers_of`).
    """
    embedder = _covered_by(warehouse, source, STEP)
    if embedder is None or not (warehouse.home.lance / f"embeddings_{embedder[:8]}.lance").exists():
        return 0
    lock = warehouse.home.locks / f"{STEP}-{embedder}.lock"
    with file_lock(lock, f"mend the embeddings of {source}", deadline_s=LOCK_WAIT_S):
        table = f"embeddings_{embedder[:8]}"
        taken = drop_copies(warehouse.home, table, "content_sha256", ("vector",))
        lengths = read_lengths(warehouse, source)
        off = [lengths.contents[at] for at in np.flatnonzero(lengths.off)]
        bad = sorted({*off, *doubled_contents(warehouse, lengths)})
        _let_ledgers_go(warehouse, source, "embedder", embedder, bad)
        return taken + drop_keys(warehouse.home, table, "content_sha256", bad)


def _covered_by(warehouse: Warehouse, source: str, step: str) -> str | None:
    """Fingerprint that a source was covered with; None where it never was, or nobody knows any more."""
    with warehouse.read(f"mend {step} of {source}") as con:
        try:
            return scored.coverage(con, source, step).fingerprint
        except NotFoundError:
            return None


def _let_ledgers_go(
    warehouse: Warehouse, source: str, role: str, fingerprint: str, keys: Sequence[str]
) -> None:
    if keys:
        with warehouse.write(f"ledgers of refused results of {source}") as con:
            let_go.ledgers_of(con, warehouse.home, role, fingerprint, keys)


def mend_ledger(warehouse: Warehouse, scope_kind: str, scope: str) -> int:
    """Let the rows of a scope's current ledger go if they are altered still; returns how many ledgers.

    Rows that stand in no file are no fault of the ledger, which would be made again just as it is.
    """
    try:
        found = check_ledger(warehouse, scope_kind, scope)
    except NotFoundError:
        return 0
    if not any(_of_the_ledger(one) for one in found):
        return 0
    with warehouse.write(f"mend the ledger of {scope}") as con:
        let_go.rows_of(con, [ledgers.head_ledger(con, scope_kind, scope).ledger_id])
    return 1


def _of_the_ledger(found: Finding) -> bool:
    if found.check == _LINEAGE:
        return any(found.numbers[name] for name in _OF_THE_LEDGER)
    return found.check == _ACCOUNTING and not found.passed


def mend_subset(warehouse: Warehouse, scope_kind: str, scope: str, budget: int) -> int:
    """Put the registry's rows of a scope's current version right if they are altered still; returns how many versions.

    Where a ledger gives the same version still, its rows are written again, and what the registry alone knows (when
    and by which run it was made) stays. Else an altered version is forgotten and its folder stays, so that the next cut
    registers what the ledger gives now. Files, scores and vectors are no fault of the registry: nothing is forgotten
    for them.
    """
    try:
        lineage = check_subset(warehouse, scope_kind, scope, budget)[0]
    except NotFoundError:
        return 0
    altered, nowhere = lineage.numbers["registry_faults"], lineage.numbers["in_no_file"]
    if not altered and not nowhere:
        return 0
    with warehouse.write(f"mend {scope} at {budget}") as con:
        version = selections.head_members(con, scope_kind, scope, budget)
        if version is None:
            return 0
        again = _cut_again(con, version, scope_kind, scope, budget)
        if again is not None:
            return int(selections.write_again(con, again))
        if altered:
            for table in ("selection_head", "selection_member", "selection"):
                con.execute(f"delete from store.{table} where selection_version = ?", [version])  # noqa: S608
    return int(bool(altered))


def _cut_again(
    con: duckdb.DuckDBPyConnection, version: str, scope_kind: str, scope: str, budget: int
) -> Selection | None:
    """A version cut again out of its ledger, or out of its scope's current one; None where neither gives it."""
    for ledger_id in (registered(con, version).ledger_id, ledgers.head_id(con, scope_kind, scope)):
        ledger = ledgers.find_ledger(con, ledger_id) if ledger_id else None
        if ledger is None or ledger.pruned:
            continue
        try:
            selection = selections.cut(con, ledger, budget)
        except StoreError:
            continue
        if selection.version == version:
            return selection
    return None
