"""A take-down makes stale what read the row: its source, and scopes whose frozen base may hold it."""

import datetime as dt

import dagster as dg
import pytest

from deita_assets.defs.automation.staleness import Staleness
from deita_assets.settings import DeitaSettings
from deita_assets.stores import takedowns

BASE = {"mixtures": {"m": {"sources": ["tea"], "frozen_base": "abcdef01"}}}
MOMENT = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def instance():
    with dg.instance_for_test() as instance:
        instance.add_dynamic_partitions("source", ["tea", "maths"])
        yield instance


def digests(home, instance, **settings):
    now = Staleness(instance, home, DeitaSettings(**settings), lambda: ["maths", "tea"])
    scopes = {
        asset: now.inputs(asset, "m" if settings else "all")
        for asset in ("pooled_ledger", "pooled_calibration")
    }
    return {
        **scopes,
        **{f"raw_pool {source}": now.inputs("raw_pool", source) for source in ("tea", "maths")},
        "selection_ledger tea": now.inputs("selection_ledger", "tea"),
    }


def changed(before, after):
    return {name for name in before if before[name] != after[name]}


def test_the_source_is_stale_and_scopes_with_a_frozen_base(home, instance):
    plain, based = digests(home, instance), digests(home, instance, **BASE)
    takedowns.mark(home, ["maths"], MOMENT)
    assert changed(plain, digests(home, instance)) == {"raw_pool maths"}
    first = digests(home, instance, **BASE)
    assert changed(based, first) == {"raw_pool maths", "pooled_ledger", "pooled_calibration"}
    takedowns.mark(home, ["maths"], MOMENT + dt.timedelta(seconds=1))
    assert changed(first, digests(home, instance, **BASE)) == {
        "raw_pool maths",
        "pooled_ledger",
        "pooled_calibration",
    }


def test_without_any_nothing_is_added(home, instance, monkeypatch):
    """Records of homes that never took anything down stay valid."""
    read = digests(home, instance, **BASE)
    monkeypatch.setattr(takedowns, "marked", lambda home: {})
    assert digests(home, instance, **BASE) == read
    (home.root / "takedowns.json").write_text("half a doc", encoding="utf-8")
    monkeypatch.undo()
    assert digests(home, instance, **BASE) == read
