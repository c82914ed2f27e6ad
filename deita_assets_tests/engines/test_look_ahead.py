"""What would be, said beforehand, against what comes true when the pass really goes there."""

import shutil

import numpy as np
import pytest

from deita_assets.engines.look_ahead import can_look_ahead, look_ahead, thresholds
from deita_assets.errors import StoreError
from deita_assets.stores.home import Home
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.conftest import Landing
from deita_assets_tests.core.greedy_oracle import greedy, similarity
from deita_assets_tests.engines.scopes import Scoped

#: kind of vectors -> threshold at which about half of its rows are near-duplicates.
KINDS = {"spread": 0.5, "lattice": 0.8, "clusters": 0.97, "close": 0.9999, "equal": 0.9}


def slow(value):
    return pytest.param(value, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def template(tmp_path_factory, migrated):
    home = Home(tmp_path_factory.mktemp("ahead")).create()
    shutil.copyfile(migrated, home.warehouse)
    made = Scoped(Warehouse(home), Landing(home))
    for kind in KINDS:
        made.random_source(kind, kind, 40, seed=len(kind))
    return made


@pytest.fixture
def scoped(template, tmp_path):
    return template.copied(tmp_path)


def by_verdict(scoped, ledger, verdict):
    return {name: row for name, row in scoped.rows(ledger).items() if row[2] == verdict}


def foretold(scoped, ledger, **options):
    """{sample_id: what is said of it} of every unvisited row."""
    names = by_verdict(scoped, ledger, "unvisited")
    with scoped.warehouse.read("test") as con:
        return {name: look_ahead(con, scoped.home, ledger, name, **options) for name in names}


def comes_true(row, said):
    """Whether a stored row is what was said of it."""
    _, _, verdict, _, _, position, blocked_by, found = row
    if verdict == "kept":
        return (said.verdict, said.position_least, said.position_most) == ("kept", position, position)
    if verdict == "over_quota":
        return said.verdict == "over_quota"
    return (said.verdict, said.blocked_by, said.similarity) == ("near_duplicate", blocked_by, found)


@pytest.mark.parametrize("kind", ["lattice", slow("spread"), slow("clusters")])
def test_a_row_not_reached_becomes_what_was_said_of_it(scoped, kind):
    ledger = scoped.ledger(kind, threshold=KINDS[kind], budget=3)
    before = scoped.rows(ledger)
    said = foretold(scoped, ledger)
    assert len(said) > 20
    assert scoped.rows(ledger) == before, "nothing is written"
    assert sorted(one.rows_ahead for one in said.values()) == list(range(len(said)))
    deep = scoped.rows(scoped.ledger(kind, threshold=KINDS[kind]))
    assert all(comes_true(deep[name], one) for name, one in said.items())
    assert {one.verdict for one in said.values()} == {"kept", "near_duplicate"}


@pytest.mark.parametrize(
    "chosen",
    [
        {"caps": {"spread": 4}},
        {"selector": "score_only"},
        slow({"selector": "score_only", "caps": {"spread": 4}}),
        slow({"selector": "random", "seed": 3}),
    ],
)
def test_so_it_does_under_caps_and_other_selectors(scoped, chosen):
    sources = ("spread", "lattice")
    ledger = scoped.ledger(*sources, threshold=0.7, budget=6, **chosen)
    said = foretold(scoped, ledger)
    deep = scoped.rows(scoped.ledger(*sources, threshold=0.7, **chosen))
    assert all(comes_true(deep[name], one) for name, one in said.items())
    assert ("over_quota" in {one.verdict for one in said.values()}) is ("caps" in chosen)


def test_and_behind_a_frozen_base(scoped):
    base = scoped.subset(scoped.ledger("spread", threshold=0.9), 12).selection.version
    options = {"kind": "mixture", "name": "m", "threshold": 0.5, "frozen_base": base}
    ledger = scoped.ledger("spread", budget=13, **options)
    said = foretold(scoped, ledger)
    deep = scoped.rows(scoped.ledger("spread", **options))
    assert said
    assert all(comes_true(deep[name], one) for name, one in said.items())


@pytest.mark.parametrize("kind", ["lattice", slow("spread"), slow("clusters"), slow("close")])
def test_what_is_certain_without_walking_comes_true(scoped, kind):
    ledger = scoped.ledger(kind, threshold=KINDS[kind], budget=3)
    said = foretold(scoped, ledger, most=0)
    deep = scoped.rows(scoped.ledger(kind, threshold=KINDS[kind]))
    for name, one in said.items():
        _, _, verdict, _, _, position, _, found = deep[name]
        assert one.walked is (one.rows_ahead == 0)
        assert one.verdict in (None, verdict)
        if verdict == "kept":
            assert one.position_least <= position <= one.position_most
        elif one.verdict is not None:
            assert KINDS[kind] < one.similarity <= found, "a row kept later may be nearer still"
    assert {one.verdict for one in said.values()} >= ({"near_duplicate"} if kind != "spread" else {None})


@pytest.mark.parametrize("kind", ["lattice", *(slow(kind) for kind in KINDS if kind != "lattice")])
def test_thresholds_say_when_a_near_duplicate_would_stay(scoped, kind):
    ledger = scoped.ledger(kind, threshold=KINDS[kind])
    rows = scoped.candidates(kind)
    vectors = [np.asarray(row[4], np.float16) for row in rows]
    order = sorted(range(len(rows)), key=lambda at: (-rows[at][3], *rows[at][1:3]))
    names = [rows[at][0] for at in order]

    def kept_at(threshold):
        return {rows[at][0] for at in greedy(vectors, order, threshold)[0]}

    dropped = by_verdict(scoped, ledger, "near_duplicate")
    assert dropped
    for name in list(dropped)[:12]:
        blocked_by, stored = dropped[name][6], dropped[name][7]
        with scoped.warehouse.read("test") as con:
            said = thresholds(con, scoped.home, ledger, name, blocked_by)
        own, place = vectors[order[names.index(name)]], names.index(name)
        nearest = [similarity(own, vectors[at]) for at in order[:place]]
        assert said.in_from == max(nearest)
        assert said.nearest == names[int(np.argmax(nearest))]
        assert said.out_below == stored <= said.in_from
        assert name in kept_at(said.in_from)
        assert name in kept_at((said.in_from + 1) / 2)
        below = [t for t in np.linspace(max(said.out_from, -0.999), stored, 4, endpoint=False) if t < stored]
        assert all(name not in kept_at(t) for t in below if t >= said.out_from)
        assert name not in kept_at(np.nextafter(stored, -1)) or np.nextafter(stored, -1) < said.out_from


def test_a_ledger_at_that_threshold_keeps_the_row(scoped):
    ledger = scoped.ledger("lattice", threshold=0.6)
    name, row = next(iter(by_verdict(scoped, ledger, "near_duplicate").items()))
    with scoped.warehouse.read("test") as con:
        said = thresholds(con, scoped.home, ledger, name, row[6])
    higher = scoped.ledger("lattice", threshold=said.in_from, trial=True)
    assert scoped.rows(higher)[name][2] == "kept"
    if said.out_from <= np.nextafter(said.out_below, -1):
        lower = scoped.ledger("lattice", threshold=float(np.nextafter(said.out_below, -1)), trial=True)
        assert scoped.rows(lower)[name][2] == "near_duplicate"


def test_a_lower_threshold_may_let_a_near_duplicate_in(scoped):
    """First, middle, last in order; the middle one blocks the last and is itself blocked at a lower threshold."""
    angles = {"first": 0.0, "middle": 30.0, "last": 55.0}
    vectors = {text: [np.cos(np.radians(a)), np.sin(np.radians(a)), 0, 0, 0] for text, a in angles.items()}
    vectors = {"apart": [0, 0, 1, 0, 0], **vectors}
    scoped.source("z", {text: (9.0 - at, vectors[text]) for at, text in enumerate(vectors)})
    ledger = scoped.ledger("z", threshold=0.9)
    name, row = next(iter(by_verdict(scoped, ledger, "near_duplicate").items()))
    with scoped.warehouse.read("test") as con:
        said = thresholds(con, scoped.home, ledger, name, row[6])
    assert said.out_from == pytest.approx(np.cos(np.radians(30)), abs=1e-3)
    assert said.out_below == said.in_from == pytest.approx(np.cos(np.radians(25)), abs=1e-3)
    lower = scoped.rows(scoped.ledger("z", threshold=0.7, trial=True))
    assert lower[name][2] == "kept", "below `out_from` nothing is certain"
    assert scoped.rows(scoped.ledger("z", threshold=said.out_from, trial=True))[name][2] == "near_duplicate"


def test_where_rows_before_do_not_decide_nothing_is_said(scoped):
    assert can_look_ahead(scoped.ledger("spread", budget=3))
    assert not can_look_ahead(scoped.ledger("spread", selector="k_center", budget=3))
    assert not can_look_ahead(scoped.ledger("spread", shares={"spread": 0.5}, budget=3))


def test_lost_vectors_are_an_error_that_makes_nothing(scoped):
    ledger = scoped.ledger("lattice", threshold=0.6, budget=3)
    shutil.rmtree(scoped.home.lance)
    for name in list(by_verdict(scoped, ledger, "unvisited"))[:1]:
        with scoped.warehouse.read("test") as con, pytest.raises(StoreError, match="not here"):
            look_ahead(con, scoped.home, ledger, name)
    assert not scoped.home.lance.exists()
