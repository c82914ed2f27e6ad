"""Ledgers against a naive reading of the rule: every field of every row."""

import dataclasses
import functools
import shutil
from itertools import product

import numpy as np
import pytest

from deita_assets.engines import select as engine
from deita_assets.engines.score_pool import score_pool
from deita_assets.engines.select import PassOptions, deepen
from deita_assets.errors import MixedFingerprintsError, NotFoundError, StoreError
from deita_assets.stores.home import Home
from deita_assets.stores.ledgers import find_ledger, head_ledger, verdict_counts
from deita_assets.stores.vectors import EmbeddingTable
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.conftest import Landing
from deita_assets_tests.core.greedy_oracle import KINDS
from deita_assets_tests.engines.fakes import FakeEmbedder, FakeScorer
from deita_assets_tests.engines.scopes import Scoped, chat, expected_rows


@pytest.fixture
def scoped(warehouse, land):
    return Scoped(warehouse, land)


@pytest.fixture(scope="module")
def pools(tmp_path_factory, migrated):
    """One source of every kind of vectors, and `s-spread` that repeats half of `spread`."""
    home = Home(tmp_path_factory.mktemp("pools")).create()
    shutil.copyfile(migrated, home.warehouse)
    made = Scoped(Warehouse(home), Landing(home))
    for seed, kind in enumerate(KINDS):
        made.random_source(kind, kind, 90, seed)
    half = {
        text: (made.scores[text], made.vectors[text])
        for text in sorted(made.scores)
        if text.startswith("spread")
    }
    made.source("s-spread", dict(list(half.items())[:45]))
    made.candidates = functools.cache(made.candidates)  # these pools do not change
    return made


def head(scoped, name, kind="source"):
    with scoped.warehouse.read("test") as con:
        return head_ledger(con, kind, name)


def stored(scoped, ledger):
    with scoped.warehouse.read("test") as con:
        return find_ledger(con, ledger.ledger_id)


@pytest.mark.parametrize(
    ("kind", "threshold"), [*product(KINDS, (0.3, 0.9)), ("equal", 1.0), ("close", 1.0), ("lattice", -0.5)]
)
def test_a_ledger_is_the_naive_pass(pools, kind, threshold):
    ledger = pools.ledger(kind, threshold=threshold)
    expected = expected_rows(pools.candidates(kind), threshold)
    assert pools.rows(ledger) == expected
    n_kept = sum(row[2] == "kept" for row in expected.values())
    assert (ledger.n_rows, ledger.n_kept, ledger.n_visited, ledger.exhausted) == (90, n_kept, 90, True)
    assert ledger.threshold == threshold


@pytest.mark.parametrize("kind", ["spread", "clusters"])
def test_a_ledger_goes_on_to_a_larger_budget_as_if_it_had_never_stopped(pools, kind):
    candidates = pools.candidates(kind)
    for budget, depth in ((1, 1), (7, 7), (3, 7), (8, 8), (20, 20), (None, None)):
        ledger = pools.ledger(kind, threshold=0.55, budget=budget)
        assert pools.rows(ledger) == expected_rows(candidates, 0.55, depth)
    assert ledger == stored(pools, ledger)
    assert ledger.exhausted


def test_a_mixture_finds_duplicates_across_its_sources(pools):
    """The same conversation in both: the source that is named first gives its own."""
    for sources in (("spread", "s-spread", "clusters"), ("clusters", "s-spread", "spread")):
        ledger = pools.ledger(*sources, threshold=0.95, name="m")
        rows = pools.rows(ledger)
        assert rows == expected_rows(pools.candidates(*sources), 0.95, priority=sources)
        assert ledger.n_rows == 90 + 45 + 90
        repeated = [row for row in rows.values() if row[3] == "exact_duplicate"]
        assert len(repeated) == 45
        second = sources[1] if sources[0] == "spread" else "spread"
        assert {row[0].partition(":")[0] for row in repeated} == {second}
        assert {row[2] for row in repeated} == {"excluded"}
        assert all(row[6].partition(":")[2] == row[0].partition(":")[2] for row in repeated)


def test_repeats_of_sources_decide_nothing_but_their_order_is_their_priority(pools):
    first = pools.ledger("spread", "s-spread", name="m")
    assert pools.ledger("spread", "s-spread", "spread", name="m").ledger_id == first.ledger_id
    assert pools.ledger("s-spread", "spread", name="m").ledger_id != first.ledger_id


def test_the_same_inputs_write_nothing_again(pools):
    first = pools.ledger("lattice", threshold=0.7)
    before = pools.query("select * from store.ledger order by 1"), pools.rows(first)
    for budget in (None, 1, 10_000):
        assert pools.ledger("lattice", threshold=0.7, budget=budget) == first
    assert (pools.query("select * from store.ledger order by 1"), pools.rows(first)) == before


def test_the_id_is_of_what_decides_and_not_of_depth(scoped):
    rows = {f"q{n}": (float(n % 3 + 1), np.eye(5)[n % 5]) for n in range(9)}
    scoped.source("s", rows)
    ids = {
        "plain": scoped.ledger("s", budget=1),
        "deeper": scoped.ledger("s", budget=5),
        "threshold": scoped.ledger("s", threshold=0.8),
        "aggregation": scoped.ledger("s", aggregation="mean"),
        "scope": scoped.ledger("s", kind="mixture", name="m"),
    }
    scoped.source("s", rows | {"new": (1.5, np.ones(5))})
    ids["pool"] = scoped.ledger("s")
    ones = scoped.quality.table
    scoped.quality = FakeScorer("quality", table=ones, version=2)
    scoped.source("s", rows)
    ids["scorer"] = scoped.ledger("s")
    scoped.quality = FakeScorer("quality", table=ones)
    scoped.source("s", rows)
    ids["back"] = scoped.ledger("s")
    found = {name: ledger.ledger_id for name, ledger in ids.items()}
    assert found.pop("deeper") == found.pop("back") == found["plain"]
    assert len(set(found.values())) == len(found)


def test_the_ledger_aggregates_turns_by_its_own_rule(scoped):
    """Whatever rule the scored pool of the source has."""
    talks = {"up": [1.0, 2.0, 6.0], "down": [5.0, 3.0, 2.0], "short": [5.5]}
    scoped.scores.update(
        {f"{name} {at}": score for name, scores in talks.items() for at, score in enumerate(scores)}
    )
    scoped.vectors.update({f"{name} 0": np.eye(5)[at] for at, name in enumerate(talks)})
    turns = [
        [chat(f"{name} {at}")["messages"] for at in range(len(scores))] for name, scores in talks.items()
    ]
    scoped.ingest("s", [{"messages": sum(talk, [])} for talk in turns])
    scoped.cover("s")
    score_pool(scoped.warehouse, "s", "max")
    by_hand = {"sum": sum, "mean": np.mean, "max": max, "first": lambda s: s[0], "last": lambda s: s[-1]}
    for aggregation, rule in by_hand.items():
        ledger = scoped.ledger("s", aggregation=aggregation)
        found = [row[4] for row in sorted(scoped.rows(ledger).values(), key=lambda row: row[1])]
        assert found == sorted((rule(scores) for scores in talks.values()), reverse=True)


def test_rows_that_cannot_be_selected_have_a_verdict_and_a_reason(scoped):
    rows = {f"q{n}": (float(n + 1), np.eye(5)[n]) for n in range(4)}
    rows |= {"long": (None, np.eye(5)[4]), "zero": (6.0, np.zeros(5)), "nan": (6.0, np.full(5, np.nan))}
    scoped.source("s", rows)
    ledger = scoped.ledger("s", budget=2)
    names = {row[0]: row[3] for row in scoped.query("select p.sample_id, 0, 0, t.instruction from store.pool_row p "
             "join store.turn t on t.sample_id = p.sample_id")}  # fmt: skip
    found = {names[row[0]]: (row[1], row[2], row[3], row[4]) for row in scoped.rows(ledger).values()}
    assert found == {
        "q3": (1, "kept", None, 4.0),
        "q2": (2, "kept", None, 3.0),
        "q1": (3, "unvisited", None, 2.0),
        "q0": (4, "unvisited", None, 1.0),
        "long": (None, "unscored", "turn 0: complexity too_long", None),
        "zero": (None, "invalid", "no_embedding", 6.0),
        "nan": (None, "invalid", "no_embedding", 6.0),
    }
    with scoped.warehouse.read("test") as con:
        assert verdict_counts(con, ledger.ledger_id) == {
            "invalid": 2,
            "kept": 2,
            "unvisited": 2,
            "unscored": 1,
        }
        counts = verdict_counts(con, ledger.ledger_id, 1)
    assert counts == {"beyond_budget": 3, "invalid": 2, "kept": 1, "unscored": 1}
    assert scoped.ledger("s", budget=None).n_kept == 4  # and going on does not bring them back
    assert sum(row[2] in ("invalid", "unscored") for row in scoped.rows(ledger).values()) == 3


def test_a_damaged_vector_stops_the_pass_that_needs_it(scoped):
    scoped.source("s", {"a": (3.0, np.eye(5)[0]), "b": (2.0, np.zeros(5)), "c": (1.0, np.eye(5)[1])})
    ((content,),) = scoped.query(
        "select c.content_sha256 from store.conversation c join store.turn t on t.sample_id = c.sample_id "
        "where t.instruction = 'b'"
    )
    EmbeddingTable(scoped.home, scoped.embedder.fingerprint.digest).insert([content], np.full((1, 5), np.inf))
    with pytest.raises(
        StoreError, match=f"1 vectors of .* are zero or not finite, that of content {content}"
    ):
        scoped.ledger("s")
    assert scoped.query("select count(*) from store.ledger") == [(0,)]


def test_rows_that_are_only_not_embedded_yet_are_not_called_invalid(scoped):
    """The id of the ledger would be that of the complete one."""
    scoped.source("s", {"a": (3.0, np.eye(5)[0])})
    scoped.scores["b"], scoped.vectors["b"] = 2.0, np.eye(5)[1]
    scoped.ingest("s", [chat("a"), chat("b")])
    scoped.score("s", scoped.complexity)
    scoped.score("s", scoped.quality)
    engine_rows = scoped.query("select count(*) from store.ledger")
    score_pool(scoped.warehouse, "s", "sum")
    with pytest.raises(NotFoundError, match=r"without an embedding \(s: 1\)") as error:
        scoped.ledger("s")
    assert "Materialise embeddings" in error.value.cure
    assert scoped.query("select count(*) from store.ledger") == engine_rows
    scoped.embed("s")
    assert scoped.ledger("s").n_kept == 2


def test_a_ledger_goes_on_from_its_own_rows_when_the_source_moved_on(scoped):
    """Other scores, a row less and a row more since: the stored order still decides."""
    scoped.random_source("s", "clusters", 40, seed=5)
    candidates = scoped.candidates("s")
    old = scoped.ledger("s", threshold=0.6, budget=4)
    table = {text: (6.0 - score, scoped.vectors[text]) for text, score in scoped.scores.items()}
    del table[next(iter(table))]
    scoped.complexity = FakeScorer("complexity", table=scoped.scores, version=2)
    scoped.source("s", table | {"new": (6.0, np.ones(5))})
    new = scoped.ledger("s", threshold=0.6, budget=4)
    assert new.ledger_id != old.ledger_id
    for budget in (9, None):
        deeper = deepen(scoped.warehouse, old, budget)
        assert scoped.rows(deeper) == expected_rows(candidates, 0.6, budget)
    assert scoped.rows(new) == expected_rows(scoped.candidates("s"), 0.6, 4)
    assert head(scoped, "s").ledger_id == new.ledger_id


def test_a_shallower_pass_that_ends_later_does_not_undo_a_deeper_one(scoped):
    """Two processes take up the same ledger; both began from the same rows."""
    scoped.random_source("s", "spread", 40, seed=1)
    first = scoped.ledger("s", threshold=0.9, budget=3)
    real = engine._run_pass

    def overtaken(*arguments, **named):
        engine._run_pass = real
        deepen(scoped.warehouse, first, 20)
        return real(*arguments, **named)

    engine._run_pass = overtaken
    late = deepen(scoped.warehouse, first, 5)
    assert late.n_kept == 20
    assert scoped.rows(late) == expected_rows(scoped.candidates("s"), 0.9, 20)
    assert stored(scoped, first).n_kept == 20
    assert deepen(scoped.warehouse, first, 10).n_kept == 20  # asked by somebody whose copy is older


def test_a_ledger_cannot_go_on_without_its_vectors(scoped):
    scoped.random_source("s", "spread", 12, seed=1)
    ledger = scoped.ledger("s", budget=2)
    EmbeddingTable(scoped.home, scoped.embedder.fingerprint.digest)._table.delete("true")
    with pytest.raises(StoreError, match="12 vectors of embeddings_.* are gone"):
        deepen(scoped.warehouse, ledger, 5)
    assert stored(scoped, ledger) == ledger


def test_a_trial_moves_no_head(scoped):
    scoped.random_source("s", "clusters", 20, seed=2)
    lasting = scoped.ledger("s", threshold=0.9)
    trial = scoped.ledger("s", threshold=0.5, trial=True)
    assert trial.trial
    assert stored(scoped, trial).trial
    assert head(scoped, "s") == lasting
    assert scoped.ledger(
        "s", threshold=0.9, trial=True
    ).trial  # a trial of what is lasting changes nothing either
    assert not stored(scoped, lasting).trial
    assert not scoped.ledger("s", threshold=0.5).trial  # and a trial may become the lasting one
    assert head(scoped, "s") == dataclasses.replace(trial, trial=False)


@pytest.mark.parametrize("what", ["quality scorer", "embedder"])
def test_sources_of_different_models_are_not_mixed(scoped, what):
    for source in ("a", "b"):
        if source == "b":
            if what == "embedder":
                scoped.embedder = FakeEmbedder(5, scoped.vectors, version=2)
            else:
                measure = what.split()[0]
                table = getattr(scoped, measure).table
                setattr(scoped, measure, FakeScorer(measure, table=table, version=2))
        scoped.source(source, {f"{source}{n}": (1.0, np.eye(5)[n]) for n in range(3)})
    with pytest.raises(
        MixedFingerprintsError, match=rf"'m' would mix .*one {what} \(a: \w+, b: \w+\)"
    ) as error:
        scoped.ledger("a", "b", name="m")
    assert "curate" in error.value.cure
    assert scoped.ledger("a").n_kept == scoped.ledger("b").n_kept == 3


def test_scopes_that_are_not_ready(scoped):
    with pytest.raises(NotFoundError, match="no scored pool for any source"):
        scoped.ledger(kind="mixture", name="m")
    scoped.source("a", {"a": (1.0, np.eye(5)[0])})
    scoped.ingest("b", [chat("b")])
    with pytest.raises(NotFoundError, match=r"mixture 'a': no scored pool for b, c\."):
        scoped.ledger("a", "b", "c")
    with pytest.raises(NotFoundError, match="source 'a' has no ledger yet"):
        head(scoped, "a")


def test_a_source_that_is_empty_now_does_not_stop_a_mixture(scoped):
    scoped.source("a", {"a": (1.0, np.eye(5)[0])})
    scoped.source("b", {"b": (1.0, np.eye(5)[1])})
    assert scoped.ledger("a", "b", name="m").n_rows == 2
    scoped.source("b", {})
    ledger = scoped.ledger("a", "b", name="m")
    assert (ledger.n_rows, ledger.n_kept, ledger.exhausted) == (1, 1, True)
    alone = scoped.ledger("b")
    assert (alone.n_rows, alone.n_kept, alone.exhausted) == (0, 0, True)
    assert scoped.ledger("b", budget=5) == alone


def test_progress_is_told(scoped):
    scoped.random_source("s", "spread", 30, seed=3)
    told = []
    options = PassOptions(on_progress=lambda visited, kept: told.append((visited, kept)))
    ledger = scoped.ledger("s", options=options)
    assert told[-1] == (30, ledger.n_kept)
