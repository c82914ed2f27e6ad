"""Frozen rows, caps and floors, in the greedy pass and in the one without vectors."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.core.block_kernel import NumpyKernel
from deita_assets.core.ledger import Ledger
from deita_assets.core.quotas import NO_CAP, Quotas
from deita_assets.core.repr_filter import GreedyPass
from deita_assets.core.score_only_pass import ScoreOnlyPass
from deita_assets_tests.core.greedy_oracle import (
    KINDS,
    Vectors,
    full_pass,
    greedy_with_quotas,
    make_pool,
    ranked,
    state,
)


@st.composite
def quota_arguments(draw, n):
    groups = draw(st.integers(1, 4))
    group = draw(st.lists(st.integers(0, groups - 1), min_size=n, max_size=n))
    cap = st.one_of(st.just(int(NO_CAP)), st.integers(0, max(1, n // 2)))
    caps = draw(st.lists(cap, min_size=groups, max_size=groups))
    if not draw(st.booleans()):
        return group, caps, None, None
    floors = [draw(st.integers(0, min(cap, n // 4))) for cap in caps]
    return group, caps, floors, draw(st.integers(max(1, sum(floors)), n + 3))


@st.composite
def cases(draw):
    n = draw(st.integers(1, 45))
    return {
        "n": n,
        "kind": draw(st.sampled_from(KINDS)),
        "seed": draw(st.integers(0, 2**16)),
        "threshold": draw(st.sampled_from([0.0, 0.5, 0.95, 1.0])),
        "budget": draw(st.one_of(st.none(), st.integers(1, n))),
        "block_size": draw(st.sampled_from([None, 1, 3, 16])),
        "frozen": draw(st.one_of(st.just(0), st.integers(0, n))),
        "quotas": draw(st.one_of(st.none(), quota_arguments(n))),
    }


def assert_is(greedy_pass, n, kept, decided):
    ledger = Ledger.of_pass(greedy_pass, n)
    assert ledger.kept.tolist() == kept
    assert (ledger.visited, ledger.exhausted) == (len(decided), len(decided) == n)
    for row in range(n):
        verdict, neighbour, nearest = decided.get(row, ("unvisited", -1, math.nan))
        assert (ledger.verdict[row], ledger.blocked_by[row]) == (verdict, neighbour)
        assert np.array_equal(ledger.similarity[row], nearest, equal_nan=True)


@given(cases())
@settings(deadline=None, max_examples=250)
def test_is_the_greedy_pass_with_frozen_rows_and_quotas(case):
    n, quotas = case["n"], case["quotas"]
    vectors, scores = make_pool(case["kind"], n, 4, np.float32, case["seed"])
    order = ranked(scores)
    open_to_all = ([0] * n, [int(NO_CAP)], None, None)
    expected = greedy_with_quotas(
        vectors, order, case["threshold"], case["budget"], case["frozen"], *(quotas or open_to_all)
    )
    found = full_pass(
        vectors, order, case["threshold"], case["budget"], None, case["block_size"], case["frozen"], quotas
    )
    assert_is(found, n, *expected)


@given(cases())
@settings(deadline=None, max_examples=100)
def test_the_pass_without_vectors_keeps_what_quotas_allow(case):
    n, quotas = case["n"], case["quotas"]
    order = np.random.default_rng(case["seed"]).permutation(n)
    open_to_all = ([0] * n, [int(NO_CAP)], None, None)
    expected = greedy_with_quotas(None, order, 1.0, case["budget"], case["frozen"], *(quotas or open_to_all))
    found = ScoreOnlyPass(order, case["frozen"], None if quotas is None else Quotas(*quotas))
    first = case["budget"] if case["budget"] is None else max(1, case["budget"] // 2)
    found.run(first)
    found.run(case["budget"])
    assert_is(found, n, *expected)


@given(cases(), st.integers(1, 45))
@settings(deadline=None, max_examples=100)
def test_resumed_passes_with_quotas_equal_an_uninterrupted_one(case, first):
    vectors, scores = make_pool(case["kind"], case["n"], 4, np.float32, case["seed"])
    order, quotas = ranked(scores), case["quotas"]
    bent = {"frozen": case["frozen"], "quotas": quotas}
    stopped = full_pass(vectors, order, case["threshold"], first, block_size=case["block_size"], **bent)
    resumed = GreedyPass.resume(
        Vectors(vectors),
        order,
        case["threshold"],
        NumpyKernel(),
        visited=stopped.visited,
        kept=stopped.kept,
        blocked_by=stopped.blocked_by[: stopped.visited],
        similarity=stopped.similarity[: stopped.visited],
        frozen=case["frozen"],
        quotas=None if quotas is None else Quotas(*quotas),
    )
    assert state(resumed) == state(stopped)
    whole = state(full_pass(vectors, order, case["threshold"], **bent))
    for greedy_pass in (stopped, resumed):
        greedy_pass.run()
        assert state(greedy_pass) == whole


@given(cases())
@settings(deadline=None, max_examples=60)
def test_caps_keep_the_prefix_property(case):
    group, caps, _, _ = case["quotas"] or ([0] * case["n"], [3], None, None)
    vectors, scores = make_pool(case["kind"], case["n"], 4, np.float32, case["seed"])
    quotas = (group, caps)
    whole = full_pass(vectors, ranked(scores), case["threshold"], quotas=quotas)
    for budget in (1, 2, 5, 20):
        part = full_pass(vectors, ranked(scores), case["threshold"], budget, quotas=quotas)
        assert part.kept == whole.kept[:budget]
        assert part.is_over_quota[: part.visited].tolist() == whole.is_over_quota[: part.visited].tolist()


def test_floors_do_not_and_say_what_they_lack():
    """Four rows of group 0 come first; group 1 has two rows, is promised three, and gets what there is."""
    order, group = np.arange(8), [0, 0, 0, 0, 1, 0, 1, 0]
    quotas = Quotas(group, [NO_CAP, NO_CAP], [0, 3], 5)
    found = ScoreOnlyPass(order, quotas=quotas)
    found.run(5)
    assert found.kept == [0, 1, 4, 6] and found.exhausted
    assert np.flatnonzero(found.is_over_quota).tolist() == [2, 3, 5, 7]
    assert quotas.shortfall.tolist() == [0, 1] and quotas.kept.tolist() == [2, 2]
    smaller = ScoreOnlyPass(order, quotas=Quotas(group, [NO_CAP, NO_CAP], [0, 2], 3))
    smaller.run(3)
    assert smaller.kept == [0, 4, 6]  # not the beginning of what a budget of 5 gives: 0, 1, 2, 4, 6
    wider = ScoreOnlyPass(order, quotas=Quotas(group, [NO_CAP, NO_CAP], [0, 2], 5))
    wider.run(5)
    assert wider.kept == [0, 1, 2, 4, 6]


def test_frozen_rows_stay_even_over_a_cap_and_block_others():
    vectors = np.array([[1.0, 0], [1, 0], [1, 0.01], [0, 1], [0, -1]])
    quotas = Quotas([0, 0, 1, 1, 0], [1, 5])
    found = GreedyPass(Vectors(vectors), range(5), 0.9, NumpyKernel(), frozen=2, quotas=quotas)
    found.run()
    ledger = Ledger.of_pass(found, 5)
    assert ledger.verdict.tolist() == ["kept", "kept", "near_duplicate", "kept", "over_quota"]
    assert ledger.blocked_by.tolist() == [-1, 0, 0, 0, -1] and ledger.similarity[1] == 1.0


def test_rows_of_closed_groups_are_never_fetched():
    vectors, _ = make_pool("spread", 3000, 6, np.float32, seed=2)
    source = Vectors(vectors)
    quotas = Quotas([0] * 2990 + [1] * 10, [20, NO_CAP])
    found = GreedyPass(source, range(3000), 1.0, NumpyKernel(), block_size=25, quotas=quotas)
    found.run()
    assert found.kept == [*range(20), *range(2990, 3000)] and found.exhausted
    assert source.taken == 25 + 10


def test_a_row_over_quota_does_not_stand_for_its_equals():
    """At threshold 1.0 only the first kept row of a direction is compared with; a row over quota is not kept."""
    vectors = np.array([[0.0, 1], [1, 0], [1, 0], [1, 0.1]])
    for block_size in (1, 2, 4):
        found = full_pass(vectors, range(4), 1.0, block_size=block_size, quotas=([0, 0, 1, 1], [1, NO_CAP]))
        assert found.kept == [0, 2, 3] and found.blocked_by.tolist() == [-1, -1, 0, 2]


def test_many_equal_frozen_rows_are_stored_once():
    vectors, scores = make_pool("equal", 2000, 8, np.float16, seed=21)
    kernel = NumpyKernel()
    found = full_pass(vectors, ranked(scores), 0.99, kernel=kernel, frozen=1500)
    assert found.kept[:1500] == list(range(1500)) and len(kernel) < 510


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (([0, 2], [1, 1]), "groups run from 0 to 2, expected 0 to 1"),
        (([0, -1], [1, 1]), "groups run from -1 to 0"),
        (([[0]], [1]), r"shapes \(1, 1\), \(1,\)"),
        (([0], [1], [0, 0], 3), r"\(1,\) and \(2,\)"),
        (([0], [-1]), "group 0 has cap -1"),
        (([0], [2], [3], 5), "group 0 has cap 2 and floor 3"),
        (([0], [9], [3], 2), r"budget of the quotas is 2, expected at least the sum of the floors \(3\)"),
        (([0], [9], [3]), "budget of the quotas is None"),
        (([0], [9], None, 3), "budget of the quotas is 3, expected none without floors"),
    ],
)
def test_quotas_that_cannot_be_are_refused(arguments, told):
    with pytest.raises(ValueError, match=told):
        Quotas(*arguments)


def test_passes_with_quotas_that_do_not_fit_are_refused():
    source = Vectors(np.eye(3))
    with pytest.raises(ValueError, match="groups of 2 rows, but the order holds row 2"):
        GreedyPass(source, range(3), 0.9, NumpyKernel(), quotas=Quotas([0, 0], [5]))
    used = Quotas([0, 0, 0], [5])
    ScoreOnlyPass(range(3), quotas=used).run()
    with pytest.raises(ValueError, match="counted rows already"):
        ScoreOnlyPass(range(3), quotas=used)
    for frozen in (-1, 4):
        with pytest.raises(ValueError, match=f"frozen is {frozen}"):
            ScoreOnlyPass(range(3), frozen)
        with pytest.raises(ValueError, match=f"frozen is {frozen}"):
            GreedyPass(source, range(3), 0.9, NumpyKernel(), frozen=frozen)
    with pytest.raises(ValueError, match="first 2 among them"):
        GreedyPass.resume(
            source, range(3), 0.9, NumpyKernel(), visited=3, kept=[0, 2], blocked_by=[0] * 3, similarity=[0] * 3,
            frozen=2,
        )  # fmt: skip
    with pytest.raises(ValueError, match="budget is 0"):
        ScoreOnlyPass(range(3)).run(0)
    with pytest.raises(ValueError, match="order has shape"):
        ScoreOnlyPass([[0, 1]])
