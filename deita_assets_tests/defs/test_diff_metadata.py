"""What a materialised subset says of its predecessor."""

from types import SimpleNamespace

import numpy as np
import pytest

from deita_assets.defs.selection.diff_metadata import diff_metadata
from deita_assets.stores import selections
from deita_assets_tests.engines.scopes import Scoped


@pytest.fixture
def scoped(warehouse, land):
    made = Scoped(warehouse, land)
    made.source("s", {f"q{n}": (9.0 - n, vector) for n, vector in enumerate(np.eye(5)[:4])})
    return made


def cut(scoped, previous=None, budget=3):
    """What `cut_subset` tells of a version; its files do not matter."""
    ledger = scoped.ledger("s")
    with scoped.warehouse.write("test") as con:
        selection = selections.cut(con, ledger, budget)
        selections.register(con, selection, "nowhere", run_id="run", head=True)
    return SimpleNamespace(selection=selection, previous=previous)


def test_the_first_version_has_nothing_to_differ_from(scoped):
    assert diff_metadata(scoped.warehouse, cut(scoped)) == {}


def test_changes_are_plain_numbers_and_readable_tables(scoped):
    first = cut(scoped).selection.version
    scoped.source(
        "s", {"new": (9.5, [1, 0.1, 0, 0, 0]), "q1": (8.0, np.eye(5)[1]), "q3": (6.0, np.eye(5)[3])}
    )
    told = diff_metadata(scoped.warehouse, cut(scoped, first))
    numbers = {name: value for name, value in told.items() if isinstance(value, int)}
    assert numbers == {"added": 2, "removed": 2, "moved": 0, "unchanged": 1}
    assert told["previous_version"] == first
    assert "| removed | withdrawn | 2 |" in told["changes"].value
    assert "| s | 3 | 3 | 2 | 2 |" in told["changes_by_source"].value
    assert "(+1 -2 rows)" in told["what_differs"].value
    assert "members" not in told


def test_the_same_members_under_another_spec_are_named_so(scoped):
    first = cut(scoped).selection.version
    rows = {f"q{n}": (9.0 - n, vector) for n, vector in enumerate(np.eye(5)[:4])}
    scoped.source("s", {**rows, "low": (0.5, np.eye(5)[4])})
    told = diff_metadata(scoped.warehouse, cut(scoped, first))
    assert (told["added"], told["removed"], told["moved"], told["unchanged"]) == (0, 0, 0, 3)
    assert told["members"].startswith("same members")
    assert "changes" not in told


def test_the_same_version_again_changes_nothing(scoped):
    first = cut(scoped).selection.version
    told = diff_metadata(scoped.warehouse, cut(scoped, first))
    assert told == {"previous_version": first, "added": 0, "removed": 0, "moved": 0, "unchanged": 3}
