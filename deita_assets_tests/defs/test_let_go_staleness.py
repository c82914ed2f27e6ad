"""A ledger that was let go as wrong makes its scope stale, for sensors too, which open no store."""

import datetime as dt

import dagster as dg
import pytest

from deita_assets.defs.automation.staleness import Staleness
from deita_assets.partitions import subset_key
from deita_assets.settings import DeitaSettings
from deita_assets.stores import let_go, marks

MOMENT = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
ASSETS = {
    "source": ("selection_ledger", "threshold_calibration", "selected_subset"),
    "mixture": ("pooled_ledger", "pooled_calibration", "pooled_subset"),
}


@pytest.fixture(scope="module")
def instance():
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("source", ["all", "tea"])
        yield instance


def digests(home, instance):
    """Digest of every asset that selects; a source has the name of the mixture."""
    now = Staleness(instance, home, DeitaSettings(), lambda: ["all", "tea"])
    return {
        (asset, scope): now.inputs(
            asset, str(subset_key(kind, scope, 3)) if asset.endswith("subset") else scope
        )
        for kind, assets in ASSETS.items()
        for asset in assets
        for scope in (("all", "tea") if kind == "source" else ("all",))
    }


@pytest.mark.parametrize("kind", ASSETS)
def test_ledger_calibration_and_subset_of_the_scope_are_stale_once(kind, home, instance):
    before = digests(home, instance)
    marks.add(home.let_go, [f"{kind}:all"], MOMENT)
    after = digests(home, instance)
    assert {one for one in before if before[one] != after[one]} == {(asset, "all") for asset in ASSETS[kind]}
    assert digests(home, instance) == after
    assert let_go.marked(home) == {f"{kind}:all": MOMENT.isoformat()}


def test_a_mark_that_cannot_be_read_marks_nothing(home, instance):
    before = digests(home, instance)
    home.let_go.write_text("half a doc", encoding="utf-8")
    assert digests(home, instance) == before
