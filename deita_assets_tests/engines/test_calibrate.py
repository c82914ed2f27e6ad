"""Calibrating a scope whose scores, vectors and texts are given."""

import dataclasses
import json

import numpy as np
import pytest

from deita_assets.engines import calibrate as engine
from deita_assets.engines.calibrate import calibrate, pair_texts, stored_calibration
from deita_assets.engines.parameters import SelectionParameters
from deita_assets.errors import MixedFingerprintsError, NotFoundError, UsageError
from deita_assets.stores import calibrations
from deita_assets.stores.ledgers import Scope
from deita_assets_tests.core.greedy_oracle import greedy
from deita_assets_tests.engines.fakes import FakeEmbedder
from deita_assets_tests.engines.scopes import Scoped

DEFAULT = 0.77


@pytest.fixture
def scoped(warehouse, land):
    return Scoped(warehouse, land, dimension=6)


def run(scoped, *sources, threshold=0.8, kind=None, **options):
    scope = Scope(
        kind or ("source" if len(sources) == 1 else "mixture"), sources[0] if sources else "m", sources
    )
    return calibrate(scoped.warehouse, scope, SelectionParameters(threshold), default=DEFAULT, **options)


def pairs_at(similarity, n, words, seed, prefix):
    """2 n rows: n far apart, and for each one at this similarity to it; `words` makes the two texts."""
    rng = np.random.default_rng(seed)
    rows = {}
    for at in range(n):
        first = rng.standard_normal(6)
        first /= np.linalg.norm(first)
        other = rng.standard_normal(6)
        other -= other @ first * first
        other /= np.linalg.norm(other)
        one, two = words(f"{prefix}{at}")
        rows[one] = (6 - at / 1000, first)
        rows[two] = (1 + at / 1000, similarity * first + (1 - similarity**2) ** 0.5 * other)
    return rows


def test_the_curve_and_the_pairs_are_those_of_the_definition(scoped):
    scoped.random_source("s", "clusters", 90, seed=3)
    done = run(scoped, "s", threshold=0.8)
    candidates = scoped.candidates("s")
    order = sorted(range(90), key=lambda at: (-candidates[at][3], *candidates[at][1:3]))
    vectors = [np.asarray(row[4], np.float16) for row in candidates]
    assert (done.visited, done.selectable, done.threshold) == (90, 90, 0.8)
    for point in done.curve[::6]:
        assert point.kept == len(greedy(vectors, order, point.threshold)[0])
    _, decided = greedy(vectors, order, 0.8)
    by_id = {
        candidates[at][0]: (keep, value, candidates[near][0])
        for at, (keep, near, value) in decided.items()
        if near >= 0
    }
    assert len(done.below) == len(done.above) == 10
    for pair in done.below + done.above:
        assert by_id[pair.sample_id] == (pair in done.below, pair.similarity, pair.nearest)


def test_the_texts_decide_the_recommendation(scoped):
    """Pairs above 0.9 say the same, pairs around 0.7 do not."""
    same = pairs_at(0.95, 30, lambda name: (f"{name} alpha {name}x", f"{name} beta {name}x"), 1, "near")
    other = pairs_at(0.71, 30, lambda name: (f"{name} {name}y {name}z", f"else {name}q {name}r"), 2, "far")
    scoped.source("s", same | other)
    done = run(scoped, "s")
    by_low = {band.low: band for band in done.bands}
    assert by_low[0.94].pairs >= 10
    assert by_low[0.94].alike >= 0.5
    assert any(band.speaks and band.alike < 0.5 for band in done.bands if band.low < 0.9)
    failing = max(band.high for band in done.bands if band.speaks and band.alike < 0.5)
    assert done.recommendation.threshold == failing
    assert 0.7 < failing < 0.95


def test_too_few_near_pairs_leave_the_embedders_own_threshold(scoped):
    scoped.source("s", {f"q{at}": (1.0 + at, np.eye(6)[at]) for at in range(6)})
    assert run(scoped, "s").recommendation.threshold == DEFAULT


def test_the_words_of_a_template_count_nowhere(scoped):
    """Every row of `t` shares seven words with every other: a tenth of the mixture."""
    template = "you may use this tool when asked"
    scoped.source(
        "t",
        pairs_at(
            0.995, 16, lambda name: (f"{template} {name} {name}a", f"{template} {name}b {name}c"), 5, "t"
        ),
    )
    plain = np.random.default_rng(6).standard_normal((300, 6))
    scoped.source("u", {f"plain {at} p{at} r{at}": (1.5, vector) for at, vector in enumerate(plain)})
    for sources in (["t"], ["t", "u"]):
        top = run(scoped, *sources).bands[-1]
        assert top.pairs >= 10
        assert top.alike < 0.2


def test_common_words_are_looked_for_in_rows_of_every_source():
    plain = engine._plain_rows([f"t:{at}" for at in range(1200)] + ["u:x"])
    assert plain["u"] == [1200]
    assert 250 < len(plain["t"]) <= 500
    assert plain["t"][-1] > 1150


def test_only_the_best_rows_are_compared(scoped):
    scoped.random_source("s", "spread", 60, seed=4)
    told = []
    done = run(scoped, "s", rows=25, on_progress=lambda visited, kept: told.append((visited, kept)))
    assert (done.visited, done.selectable) == (25, 60)
    assert told[-1][0] == 25
    best = {row[0] for row in sorted(scoped.candidates("s"), key=lambda row: (-row[3], row[1]))[:25]}
    assert {pair.sample_id for pair in done.below + done.above} <= best
    assert run(scoped, "s", rows=1000).visited == 60


def test_the_same_again_is_the_stored_result(scoped, monkeypatch):
    scoped.random_source("s", "clusters", 40, seed=5)
    first = run(scoped, "s")
    assert stored_calibration(scoped.warehouse, first.calibration_id) == first
    monkeypatch.setattr(engine, "walk_thresholds", None)  # nothing is computed again
    assert run(scoped, "s") == first
    with pytest.raises(TypeError):
        run(scoped, "s", rows=30)


def test_the_id_is_of_what_decides(scoped):
    scoped.random_source("s", "clusters", 30, seed=5)
    ids = [run(scoped, "s").calibration_id, run(scoped, "s", rows=20).calibration_id]
    ids.append(run(scoped, "s", threshold=0.7).calibration_id)
    ids.append(run(scoped, "s", kind="mixture").calibration_id)
    scoped.random_source("s", "clusters", 31, seed=5)
    ids.append(run(scoped, "s").calibration_id)
    assert len(set(ids)) == len(ids)


def test_quotas_selector_and_frozen_base_play_no_part(scoped):
    scoped.random_source("a", "clusters", 30, seed=5)
    scoped.random_source("b", "clusters", 30, seed=6)
    scope = Scope("mixture", "m", ("a", "b"))
    plain = SelectionParameters(0.8)
    capped = dataclasses.replace(plain, caps={"a": 1}, shares={"b": 0.5}, floors={"b": 2})
    chosen = dataclasses.replace(plain, selector="random", seed=4, frozen_base="never made")
    found = {
        calibrate(scoped.warehouse, scope, p, default=DEFAULT).calibration_id for p in (plain, capped, chosen)
    }
    assert len(found) == 1


def test_the_stored_result_holds_ids_and_no_text(scoped):
    scoped.random_source("s", "clusters", 40, seed=7)
    done = run(scoped, "s")
    ((spec, result, kind, scope),) = scoped.query(
        "select spec, result, scope_kind, scope from store.calibration"
    )
    assert (kind, scope) == ("source", "s")
    assert json.loads(spec)["rows"] == engine.ROWS
    assert "clusters" not in result
    texts = pair_texts(scoped.warehouse, done)
    shown = {name for pair in done.below + done.above for name in (pair.sample_id, pair.nearest)}
    assert set(texts) == shown
    assert all(text.startswith("s clusters ") for text in texts.values())
    gone = min(shown)
    with scoped.warehouse.write("test") as con:
        con.execute("delete from store.conversation where sample_id = ?", [gone])
    assert set(pair_texts(scoped.warehouse, done)) == shown - {gone}


def test_drops_are_counted_from_the_ledgers_stored_similarities(scoped):
    vectors = {"a": [1, 0], "near": [0.97, 0.2431], "kept": [0.88, 0.475], "far": [0, 1]}
    scoped.source("s", {t: (9.0 - n, np.pad(v, (0, 4))) for n, (t, v) in enumerate(vectors.items())})
    ledger = scoped.ledger("s", threshold=0.95)
    with scoped.warehouse.read("test") as con:
        found = calibrations.drops(con, ledger.ledger_id, 0.95)
    assert (found.kept, found.dropped, found.near) == (3, 1, 1)
    with scoped.warehouse.read("test") as con:
        assert calibrations.drops(con, ledger.ledger_id, 0.91).near == 1  # 0.88
        assert calibrations.drops(con, ledger.ledger_id, 0.925).near == 2
        assert calibrations.drops(con, ledger.ledger_id, 0.7).near == 0


def test_a_source_without_selectable_rows_says_so_in_numbers(scoped):
    scoped.source("s", {"lost": (None, np.eye(6)[0])})
    done = run(scoped, "s")
    assert (done.visited, done.selectable, done.percentiles, done.below, done.above) == (0, 0, (), (), ())
    assert {point.kept for point in done.curve} == {0}
    assert done.recommendation.threshold == DEFAULT


def test_what_is_not_ready_is_refused_with_the_cure(scoped):
    scoped.random_source("a", "spread", 5, seed=1)
    with pytest.raises(UsageError, match="at least 2"):
        run(scoped, "a", rows=1)
    with pytest.raises(NotFoundError, match="no scored pool for b"):
        run(scoped, "a", "b")
    with pytest.raises(NotFoundError, match="no calibration abc"):
        stored_calibration(scoped.warehouse, "abc")
    scoped.embedder = FakeEmbedder(6, scoped.vectors, version=2)
    scoped.random_source("b", "spread", 5, seed=2)
    with pytest.raises(MixedFingerprintsError):
        run(scoped, "a", "b")
