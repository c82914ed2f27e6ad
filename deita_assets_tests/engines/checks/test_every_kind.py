"""Ledgers and versions of every kind (selectors, quotas, filters, frozen bases) pass their checks as they were made."""

from __future__ import annotations

from functools import partial

import pytest

from deita_assets.engines.checks.ledgers import check_ledger
from deita_assets.engines.checks.subsets import check_subset
from deita_assets_tests.engines import past_versions, scopes


def faults(made):
    """Grave findings about each version, made the current one of its scope and budget in turn, and its ledger."""
    found = {}
    query = "select selection_version, ledger_id, scope_kind, scope, budget from store.selection"
    for version, ledger_id, kind, scope, budget in made.query(query):
        with made.warehouse.write("heads") as con:
            con.execute("insert or replace into store.ledger_head values (?, ?, ?)", [kind, scope, ledger_id])
            con.execute(
                "insert or replace into store.selection_head values (?, ?, ?, ?)",
                [kind, scope, budget, version],
            )
        looked = [
            *check_ledger(made.warehouse, kind, scope), *check_subset(made.warehouse, kind, scope, budget)
        ]  # fmt: skip
        found[version] = [one.words for one in looked if one.grave and not one.passed]
    return found


def test_versions_pass_as_they_were_made(past_template, tmp_path):
    made, versions = past_template
    found = faults(made.copied(tmp_path))
    assert set(versions.values()) <= set(found)
    assert not any(found.values()), found


@pytest.mark.slow
def test_every_kind_of_version_passes_as_it_was_made(tmp_path_factory, migrated, monkeypatch):
    monkeypatch.setattr(scopes, "PassOptions", partial(scopes.PassOptions, keep_ledgers=100))
    made, versions = past_versions.published(tmp_path_factory.mktemp("kinds"), migrated, past_versions.CASES)
    found = faults(made)
    assert set(versions.values()) <= set(found)
    assert not any(found.values()), found
