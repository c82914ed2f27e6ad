"""Mending: what a check refused is taken out, so that the asset, run again, makes it anew.

Results in LanceDB are otherwise only added, ledgers and versions only replaced by others; a fault would stay for ever.
What is taken out can be computed again, and equal fingerprints give equal results.

What belongs here: taking out, after looking once more. What does not: the rules (core.checks), or when (defs.mending).
"""

from __future__ import annotations

import datetime as dt

import numpy as np

from deita_assets.engines.checks.embeddings import STEP, read_lengths
from deita_assets.engines.checks.ledgers import check_ledger
from deita_assets.engines.checks.scores import bad_prompts
from deita_assets.engines.checks.subsets import check_subset
from deita_assets.errors import NotFoundError
from deita_assets.stores import ledgers, scored, selections
from deita_assets.stores.lance_keys import doubled_keys, drop_keys, table_keys
from deita_assets.stores.lock import file_lock
from deita_assets.stores.vectors import ScoreTable
from deita_assets.stores.warehouse import Warehouse


def mend_scores(warehouse: Warehouse, source: str, measure: str) -> int:
    """Take out results of prompts that have several, or one that their status denies; returns how many rows.

    Those of the pool of `source` are looked at; doubled ones of all sources.
    """
    with warehouse.read(f"mend {measure} of {source}") as con:
        scorer = scored.coverage(con, source, measure).fingerprint
    with file_lock(warehouse.home.locks / f"{measure}-{scorer}.lock", f"mend {measure} of {source}"):
        results = ScoreTable(warehouse.home).results(measure, scorer)
        bad = sorted(
            {*doubled_keys(results["prompt_sha256"]), *bad_prompts(warehouse, source, measure, results)}
        )
        mine = f"measure = '{measure}' AND scorer_fp = '{scorer}'"
        return drop_keys(warehouse.home, "scores", "prompt_sha256", bad, where=mine)


def mend_embeddings(warehouse: Warehouse, source: str) -> int:
    """Take out vectors of contents that have several, or one that is not of length one; returns how many rows."""
    with warehouse.read(f"mend the embeddings of {source}") as con:
        embedder = scored.coverage(con, source, STEP).fingerprint
    if not (warehouse.home.lance / f"embeddings_{embedder[:8]}.lance").exists():
        return 0
    with file_lock(warehouse.home.locks / f"{STEP}-{embedder}.lock", f"mend the embeddings of {source}"):
        lengths = read_lengths(warehouse, source)
        off = [lengths.contents[at] for at in np.flatnonzero(lengths.off)]
        doubled = doubled_keys(table_keys(warehouse.home, lengths.table, "content_sha256"))
        return drop_keys(warehouse.home, lengths.table, "content_sha256", sorted({*off, *doubled}))


def mend_ledger(warehouse: Warehouse, scope_kind: str, scope: str) -> int:
    """Let the rows of a scope's current ledger go if its checks refuse it still; returns how many ledgers."""
    if all(found.passed or not found.grave for found in check_ledger(warehouse, scope_kind, scope)):
        return 0
    with warehouse.write(f"mend the ledger of {scope}") as con:
        ledger_id = ledgers.head_ledger(con, scope_kind, scope).ledger_id
        con.execute("delete from store.ledger_row where ledger_id = ?", [ledger_id])
        con.execute(
            "update store.ledger set pruned_at = ? where ledger_id = ?", [dt.datetime.now(dt.UTC), ledger_id]
        )
    return 1


def mend_subset(warehouse: Warehouse, scope_kind: str, scope: str, budget: int) -> int:
    """Forget the current version of a scope and budget if its checks refuse it still; returns how many versions.

    Its folder stays: the same members are registered again under the same version, other ones under another.
    """
    try:
        found = check_subset(warehouse, scope_kind, scope, budget)
    except NotFoundError:
        return 0
    if all(one.passed or not one.grave for one in found):
        return 0
    with warehouse.write(f"mend {scope} at {budget}") as con:
        version = selections.head_members(con, scope_kind, scope, budget)
        for table in ("selection_head", "selection_member", "selection"):
            con.execute(f"delete from store.{table} where selection_version = ?", [version])  # noqa: S608
    return 1
