"""Versions made again after everything around them has changed."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from deita_assets.core.row_filters import FilterRules
from deita_assets.engines.past_home import past_home
from deita_assets.engines.reproduce import reproduce
from deita_assets.engines.score_pool import score_pool
from deita_assets.errors import NotFoundError, UsageError
from deita_assets.stores.ledgers import Scope, prune_ledgers
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests import crashes
from deita_assets_tests.engines.fakes import FakeEmbedder, FakeScorer
from deita_assets_tests.engines.past_versions import (
    CASES,
    arrive,
    change,
    folder_of,
    home_state,
    members,
    published,
    shaken_copy,
    take_down,
)
from deita_assets_tests.engines.scopes import Scoped, chat

PARQUET = "data/train-00000-of-00001.parquet"


@pytest.fixture(scope="module")
def shaken(past_template, tmp_path_factory):
    return shaken_copy(past_template, tmp_path_factory.mktemp("shaken"))


@pytest.fixture(scope="module")
def all_shaken(tmp_path_factory, migrated):
    every = published(tmp_path_factory.mktemp("every"), migrated, CASES)
    return shaken_copy(every, tmp_path_factory.mktemp("all_shaken"))


@pytest.fixture
def scoped(past_template, tmp_path):
    """A home to be changed, and a version in it."""
    made, versions = past_template
    return made.copied(tmp_path), versions["selector repr_filter"]


def made_again(shaken, case):
    scoped, versions, _ = shaken
    done = reproduce(scoped.warehouse, versions[case])
    assert (done.verdict, done.difference, done.missing) == ("identical", None, [])
    pinned = json.loads((folder_of(scoped, versions[case]) / "manifest.json").read_text())
    assert done.compared["version_rebuilt"] == versions[case]
    assert done.compared["rows"] == done.compared["evol_scores"] == pinned["n_rows"] > 0
    assert done.compared["train_jsonl"]["sha256"] == pinned["files"]["train.jsonl"]["sha256"]
    assert done.compared["parquet"]["same_bytes"] is True


@pytest.mark.parametrize("case", ["shares and floors", "where", "contamination by words", "base of a base"])
def test_versions_are_made_again_after_everything_changed(shaken, case):
    made_again(shaken, case)


@pytest.mark.slow
@pytest.mark.parametrize("case", [*CASES, "frozen base", "base of a base"])
def test_every_kind_of_version_is_made_again_after_everything_changed(all_shaken, case):
    made_again(all_shaken, case)


@pytest.mark.slow
def test_the_present_would_give_something_else(shaken, past_template):
    """Guards the test above: what it changes does change selections."""
    scoped, versions, _ = shaken
    for name in ("selector repr_filter", "one source", "licences"):
        sources, budget, chosen = CASES[name]
        ledger = scoped.ledger(*sources, name="m" if len(sources) > 1 else None, budget=budget, **chosen)
        made = scoped.subset(ledger, budget)
        assert made.selection.version != versions[name]
        assert [one.sample_id for one in made.selection.members] != members(scoped, versions[name])


@pytest.mark.slow
def test_versions_of_before_and_after_stand_side_by_side(shaken):
    scoped, _, member = shaken
    ledger = scoped.ledger("a", "b", name="new", budget=10)
    made = scoped.subset(ledger, 10)
    assert member not in [one.sample_id for one in made.selection.members]
    assert reproduce(scoped.warehouse, made.selection.version).verdict == "identical"


def test_a_row_that_was_taken_down_is_said(shaken):
    scoped, versions, member = shaken
    done = reproduce(scoped.warehouse, versions["frozen base"])
    (note,) = [one.message for one in done.findings if one.state == "note" and one.what == "takedown"]
    assert note.startswith(f"1 of its rows were taken down since, {member} among them")


@pytest.mark.slow
def test_a_base_without_the_rows_that_had_been_taken_down(scoped):
    scoped, base = scoped
    gone, also = [row for row in members(scoped, base) if row.startswith("a:")][:2]
    take_down(scoped, gone)
    scoped.cover("a")
    score_pool(scoped.warehouse, "a", "sum")
    ledger = scoped.ledger("a", "b", name="m", budget=20, frozen_base=base)
    version = scoped.subset(ledger, 20).selection.version
    assert members(scoped, version)[:11] == [row for row in members(scoped, base) if row != gone]
    take_down(scoped, also)
    assert reproduce(scoped.warehouse, version).verdict == "identical"
    assert reproduce(scoped.warehouse, base).verdict == "identical"


@pytest.mark.slow
def test_a_pool_that_came_back_to_an_earlier_state(scoped):
    """Where rows stood at the time is what a condition looked at."""
    scoped, _ = scoped
    rows = {"x": (3.0, np.eye(5)[0]), "y": (2.0, np.eye(5)[1])}
    versions = []
    for file, other in (("a.jsonl", "c.jsonl"), ("b.jsonl", "d.jsonl")):
        arrive(scoped, "s", file, rows)
        ledger = scoped.ledger("s", budget=2, where="file = 'a.jsonl'")
        versions.append(scoped.subset(ledger, 2).selection.version)
        scoped.land.remove("s", file)
        arrive(scoped, "s", other, {"z": (1.0, np.eye(5)[2])})  # another state in between
        scoped.land.remove("s", other)
    found = scoped.query("select pool_version from store.pool_version where source = 's'")
    assert (len(found), len(set(found))) == (4, 2)
    assert [len(members(scoped, version)) for version in versions] == [2, 0]
    assert [reproduce(scoped.warehouse, one).verdict for one in versions] == ["identical"] * 2


@pytest.mark.slow
def test_scored_pools_added_up_otherwise_than_the_ledger(warehouse, land):
    """No spec says how `evol_score` was added up in the pool that a condition looked at."""
    study = Scoped(warehouse, land)
    study.complexity, study.quality, study.embedder = (
        FakeScorer("complexity"), FakeScorer("quality"), FakeEmbedder(5),
    )  # fmt: skip
    rows = [
        {"messages": [m for n in range(1 + k % 3) for m in chat(f"t {k} {n}")["messages"]]} for k in range(20)
    ]
    study.prepare("t", rows, aggregation="max")
    ledger = study.ledger("t", budget=6, where="evol_score > 10", aggregation="mean")
    version = study.subset(ledger, 6).selection.version
    assert ledger.n_kept >= 2
    study.prepare("t", rows[:5], aggregation="sum")
    assert reproduce(warehouse, version).verdict == "identical"


@pytest.mark.slow
def test_languages_as_they_were_recognised(scoped, monkeypatch):
    """Another edition of the detector may say otherwise; what the old one said is in the store."""
    scoped, _ = scoped
    monkeypatch.setattr("deita_assets.engines.row_filters.recognise_languages", _detected("old", "en"))
    ledger = scoped.ledger("a", budget=5, filters=FilterRules(languages=("en",)))
    assert ledger.n_kept == 5
    version = scoped.subset(ledger, 5).selection.version
    monkeypatch.undo()
    monkeypatch.setattr("deita_assets.engines.rebuild.Lingua", lambda: _Detector("new", "de"))
    monkeypatch.setattr("deita_assets.engines.languages.Lingua", lambda: _Detector("new", "de"))
    assert scoped.ledger("a", budget=5, filters=FilterRules(languages=("en",))).n_kept == 0
    assert reproduce(scoped.warehouse, version).verdict == "identical"


class _Detector:
    def __init__(self, name, answer):
        self.name, self.answer = name, answer

    def detect(self, texts):
        return [self.answer] * len(texts)


def _detected(name, answer):
    from deita_assets.engines.languages import recognise_languages

    return lambda warehouse, rows, detector, show: recognise_languages(
        warehouse, rows, _Detector(name, answer)
    )


def test_nothing_in_the_home_changes(shaken):
    scoped, versions, _ = shaken
    before = home_state(scoped.home)
    reproduce(scoped.warehouse, versions["where"])
    assert home_state(scoped.home) == before
    assert list(scoped.home.staging.iterdir()) == []


@pytest.mark.parametrize("place", ["select", pytest.param("write_files", marks=pytest.mark.slow)])
def test_killed_in_the_middle(scoped, place):
    scoped, version = scoped
    before = home_state(scoped.home)
    at = f"deita_assets.engines.reproduce:{place}"
    assert crashes.run(remake, scoped.home, version, kill_at=at) == crashes.KILLED
    (left,) = scoped.home.staging.iterdir()
    assert {path: state for path, state in home_state(scoped.home).items() if str(left) not in path} == before
    assert reproduce(scoped.warehouse, version).verdict == "identical"
    assert list(scoped.home.staging.iterdir()) == []
    assert home_state(scoped.home) == before


def remake(home, version):
    reproduce(Warehouse(home), version)


@pytest.mark.slow
def test_two_at_once_leave_each_other_alone(home):
    with past_home(home) as one, past_home(home) as other:
        assert one.home.warehouse.exists()
        assert other.home.warehouse.exists()
    assert list(home.staging.iterdir()) == []


def test_the_rebuilt_files_can_be_kept(scoped, tmp_path):
    scoped, version = scoped
    out = tmp_path / "out"
    done = reproduce(scoped.warehouse, version, out=out)
    assert done.out == out
    folder = folder_of(scoped, version)
    for name in ("train.jsonl", PARQUET):
        assert (out / name).read_bytes() == (folder / name).read_bytes()
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == sorted(
        ["train.jsonl", "train-00000-of-00001.parquet"]
    )
    with pytest.raises(UsageError, match=r"out exists\."):
        reproduce(scoped.warehouse, version, out=out)


def test_a_version_that_does_not_exist(scoped):
    with pytest.raises(NotFoundError, match="'feedfeedfeedfeed' is not in the registry"):
        reproduce(scoped[0].warehouse, "feedfeedfeedfeed")


@pytest.mark.slow
def test_scores_of_a_cut_that_came_late_are_those_of_its_scorers(scoped):
    scoped, _ = scoped
    ledger = scoped.ledger("a", "b", name="m", budget=12, threshold=0.8)
    early = scoped.subset(ledger, 6)
    scoped.complexity = FakeScorer("complexity", table=dict.fromkeys(scoped.scores, 2.5), version=2)
    for source in ("a", "b"):
        scoped.score(source, scoped.complexity)
        score_pool(scoped.warehouse, source, "sum")
    late = scoped.subset(ledger, 7)
    columns = ["sample_id", "complexity", "quality"]
    tables = [pq.read_table(done.directory / PARQUET, columns=columns).to_pylist() for done in (early, late)]
    assert tables[1][:6] == tables[0]
    assert all(row["complexity"] not in (None, 2.5) and row["quality"] == 1.0 for row in tables[1])
    assert reproduce(scoped.warehouse, late.selection.version).verdict == "identical"


def test_the_manifest_pins_the_code(past_template):
    scoped, versions = past_template
    manifest = json.loads(
        (folder_of(scoped, versions["contamination by words"]) / "manifest.json").read_text()
    )
    assert manifest["code"]["algorithm"] == manifest["spec"]["algorithm"]
    assert manifest["code"]["tie_rule"] == manifest["spec"]["tie_rule"]
    assert manifest["code"]["readers"] == {source: ["reader/1"] for source in ("a", "b", "exam")}
    assert manifest["code"]["deita_assets"]
    base = json.loads((folder_of(scoped, versions["frozen base"]) / "manifest.json").read_text())
    assert base["code"]["readers"].keys() == {"a", "b"}


@pytest.mark.slow
def test_a_version_is_compared_with_what_its_name_stands_for(scoped):
    """Not with whatever ledger has its number: that one was tampered with."""
    scoped, version = scoped
    change(
        scoped,
        "update store.ledger_row set kept_position = 13 - kept_position where kept_position between 1 and 12",
    )
    assert reproduce(scoped.warehouse, version).verdict == "identical"


@pytest.mark.slow
def test_reproducing_does_not_need_the_scope_to_be_scored_now(scoped):
    scoped, version = scoped
    for table in (
        "scored_pool",
        "scored_turn",
        "coverage",
        "ledger_row",
        "ledger_head",
        "selection_head",
        "pool_row",
    ):
        change(scoped, f"delete from store.{table}")  # noqa: S608 - derived tables
    prune_ledgers_of(scoped)
    assert reproduce(scoped.warehouse, version).verdict == "identical"


def prune_ledgers_of(scoped):
    with scoped.warehouse.write("prune") as con:
        prune_ledgers(con, Scope("mixture", "m", ("a", "b")), 0)


@pytest.mark.slow
def test_a_home_of_an_earlier_schema(scoped):
    """Nobody migrates a home for the sake of looking at it."""
    scoped, version = scoped
    change(scoped, "alter table store.takedown drop column from_seq")
    before = home_state(scoped.home)
    assert reproduce(scoped.warehouse, version).verdict == "identical"
    assert home_state(scoped.home) == before
    assert list(scoped.home.staging.iterdir()) == []
