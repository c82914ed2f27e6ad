"""evol_score against sums written out by hand, and rows that have none."""

import math
import shutil

import numpy as np
import pytest

from deita_assets.engines.score_pool import score_pool
from deita_assets.errors import NotFoundError
from deita_assets.stores.home import Home
from deita_assets.stores.vectors import ScoreTable
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.conftest import Landing
from deita_assets_tests.engines.fakes import FakeScorer, Study, hash_score

TURNS = {
    "one": [("ask", "reply")],
    "three": [("ask", "reply"), ("more", "less"), ("again", "and again")],
    "tail": [("ask", "reply"), ("unanswered", "")],
    "same": [("ask", "reply"), ("ask", "reply")],
    "long": [(f"ask {n}", f"reply {n}") for n in range(60)],
}
BY_HAND = {
    "sum": sum,
    "mean": lambda products: sum(products) / len(products),
    "max": max,
    "first": lambda products: products[0],
    "last": lambda products: products[-1],
}


def row(name):
    messages = [{"role": "system", "content": name}]
    for ask, reply in TURNS[name]:
        messages.append({"role": "user", "content": ask})
        messages += [{"role": "assistant", "content": reply}] if reply else []
    return {"messages": messages}


@pytest.fixture
def study(warehouse, land):
    return Study(warehouse, land)


ROWS = [row(name) for name in TURNS]


@pytest.fixture(scope="module")
def template(tmp_path_factory, migrated):
    home = Home(tmp_path_factory.mktemp("scored")).create()
    shutil.copyfile(migrated, home.warehouse)
    made = Study(Warehouse(home), Landing(home))
    made.prepare("s", ROWS)
    return made


@pytest.fixture
def prepared(template, tmp_path):
    """All four rows, scored by hash and summed."""
    folder = shutil.copytree(template.home.root, tmp_path / "prepared")
    return Study(Warehouse(Home(folder)), Landing(Home(folder)))


def stored(study, columns, source="s"):
    """{name: row of columns}; the system text is the name."""
    found = study.query(
        f"select t.system, {columns} from store.scored_pool p join store.turn t "
        "on t.sample_id = p.sample_id and t.turn = 0 where p.source = ?",
        source,
    )
    return {name: values for name, *values in found}


def test_evol_score_is_the_aggregate_of_the_products_of_the_turns(prepared):
    study = prepared
    for aggregation, by_hand in BY_HAND.items():
        result = score_pool(study.warehouse, "s", aggregation)
        found = stored(study, "evol_score, complexity, quality, turn_products, n_turns, unscored_reason")
        assert found.keys() == TURNS.keys()
        for name, turns in TURNS.items():
            complexity = [hash_score("complexity", *turn) for turn in turns]
            quality = [hash_score("quality", *turn) for turn in turns]
            products = [c * q for c, q in zip(complexity, quality, strict=True)]
            evol, mean_complexity, mean_quality, kept, n_turns, reason = found[name]
            assert evol == pytest.approx(by_hand(products), rel=1e-14)
            assert mean_complexity == pytest.approx(sum(complexity) / len(turns), rel=1e-14)
            assert mean_quality == pytest.approx(sum(quality) / len(turns), rel=1e-14)
            assert (kept, n_turns, reason) == (products, len(turns), None)
        assert (result.n_rows, result.n_unscored) == (len(TURNS), 0)
        assert sorted(result.evol_scores) == sorted(values[0] for values in found.values())


def test_a_sum_does_not_depend_on_the_order_of_addition(prepared):
    """0.1 + 0.2 + ... in floats depends on the order; the correctly rounded sum does not."""
    products = [hash_score("complexity", *turn) * hash_score("quality", *turn) for turn in TURNS["long"]]
    assert stored(prepared, "evol_score")["long"] == [math.fsum(reversed(products))]


@pytest.mark.parametrize(
    ("measure", "status"),
    [("complexity", "too_long"), ("quality", "empty_response"), ("quality", "non_finite")],
)
def test_a_conversation_with_a_turn_without_score_has_none(prepared, measure, status):
    prepared.score("s", FakeScorer(measure, version=2, statuses={"more": status, "ask 7": "truncated"}))
    result = score_pool(prepared.warehouse, "s", "sum")
    found = stored(prepared, "evol_score, turn_products, unscored_reason, complexity, n_turns")
    assert found["three"][:3] == [None, None, f"turn 1: {measure} {status}"]
    assert found["three"][3] is not None
    assert all(values[2] is None for name, values in found.items() if name != "three")  # truncated is scored
    assert (result.n_rows, result.n_unscored) == (len(TURNS), 1)
    assert result.unscored_reasons == {f"{measure} {status}": 1}
    assert len(result.evol_scores) == len(TURNS) - 1


def test_a_score_that_the_store_lost_makes_its_row_unscored(prepared):
    study = prepared
    ((key,),) = study.query("select complexity_prompt_sha256 from store.turn where instruction = 'more'")
    ScoreTable(study.home)._table.delete(f"prompt_sha256 = '{key}'")
    score_pool(study.warehouse, "s", "sum")
    assert stored(study, "evol_score, unscored_reason")["three"] == [None, "turn 1: complexity missing"]


@pytest.mark.parametrize("late", ["complexity", "quality"])
def test_turns_that_are_only_not_scored_yet_are_not_called_unscored(prepared, late):
    """The pool version of such a scored pool would be that of the complete one, and so would its ledger's id."""
    study = prepared
    before = study.query("select * from store.scored_pool")
    new = {"messages": [{"role": "user", "content": "new"}, {"role": "assistant", "content": "new"}]}
    study.ingest("s", [*ROWS, new])
    study.score("s", study.complexity if late == "quality" else study.quality)
    with pytest.raises(NotFoundError, match=rf"turns have no {late} score yet") as error:
        score_pool(study.warehouse, "s", "sum")
    assert f"{late}_scores" in error.value.cure
    assert study.query("select * from store.scored_pool") == before
    study.score("s", study.quality if late == "quality" else study.complexity)
    assert score_pool(study.warehouse, "s", "sum").n_rows == len(TURNS) + 1


def test_rows_that_left_need_no_new_scores(prepared):
    study = prepared
    version = study.ingest("s", [row("one"), row("three")]).pool_version
    result = score_pool(study.warehouse, "s", "sum")
    assert (result.n_rows, result.pool_version) == (2, version)
    assert stored(study, "pool_version").keys() == {"one", "three"}
    assert study.query("select count(*) from scores") == [(2 * (1 + 3),)]


def test_a_step_that_never_ran_is_named(study):
    study.ingest("s", [row("one")])
    study.score("s", study.complexity)
    with pytest.raises(NotFoundError, match="no quality_scores yet"):
        score_pool(study.warehouse, "s", "sum")
    with pytest.raises(NotFoundError):
        score_pool(study.warehouse, "nobody", "sum")


def test_the_version_follows_scores_and_not_the_run(prepared):
    study = prepared
    first = score_pool(study.warehouse, "s", "sum")
    assert score_pool(study.warehouse, "s", "sum").version == first.version
    assert score_pool(study.warehouse, "s", "max").version != first.version
    study.score("s", FakeScorer("quality", version=2))
    assert score_pool(study.warehouse, "s", "sum").version != first.version


def test_an_empty_pool_is_scored(prepared):
    study = prepared
    study.ingest("s", [])
    study.cover("s")
    result = score_pool(study.warehouse, "s", "sum")
    assert (result.n_rows, result.n_unscored, result.evol_scores) == (0, 0, [])
    assert study.query("select count(*) from scored_pool") == [(0,)]


def test_one_source_leaves_the_scores_of_others_alone(prepared):
    study = prepared
    before = stored(study, "evol_score", "s")
    study.prepare("s-2", [row("one"), row("three")])
    assert stored(study, "evol_score", "s-2") == {name: before[name] for name in ("one", "three")}
    assert stored(study, "evol_score", "s") == before


def test_public_scores_have_one_row_per_turn_and_measure(prepared):
    study = prepared
    found = study.query(
        "select measure, count(*), count(distinct (sample_id, turn)), min(scorer) from scores group by 1 order by 1"
    )
    n_turns = sum(map(len, TURNS.values()))
    assert found == [
        (scorer.measure, n_turns, n_turns, scorer.fingerprint.digest)
        for scorer in (study.complexity, study.quality)
    ]
    ((embedder,),) = study.query("select distinct embedder from scored_pool")
    assert embedder == study.embedder.fingerprint.digest
    assert np.isfinite([score for (score,) in study.query("select score from scores")]).all()
