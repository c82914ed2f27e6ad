"""Every selector is held to what `core.selectors` says of it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.core.block_kernel import NumpyKernel
from deita_assets.core.facility_location_pass import FacilityLocationPass
from deita_assets.core.k_center_pass import KCenterPass
from deita_assets.core.quotas import NO_CAP, Quotas
from deita_assets.core.repr_filter import GreedyPass
from deita_assets.core.score_only_pass import ScoreOnlyPass
from deita_assets.core.selectors import SELECTORS, is_prefix_stable
from deita_assets.core.shuffled_order import shuffled_order
from deita_assets_tests.core.greedy_oracle import KINDS, Vectors, make_pool, ranked, state
from deita_assets_tests.core.whole_pool_oracle import stored

N, GROUPS = 40, 3
GROUP = np.arange(N) % GROUPS


def shuffled(scores):
    return shuffled_order([f"{row:064x}:source" for row in range(len(scores))], seed=3)


def new_pass(selector, source, scores, *, frozen=0, quotas=None, threshold=0.8):
    """A pass as the platform would make it."""
    if selector == "random":
        return ScoreOnlyPass(shuffled(scores), frozen, quotas)
    order = ranked(scores)
    if selector == "score_only":
        return ScoreOnlyPass(order, frozen, quotas)
    if selector == "repr_filter":
        return GreedyPass(source, order, threshold, NumpyKernel(), frozen=frozen, quotas=quotas)
    whole_pool = {"k_center": KCenterPass, "facility_location": FacilityLocationPass}[selector]
    assert quotas is None
    return whole_pool(source, order, frozen)


def resumed_pass(selector, source, scores, stopped, *, frozen, quotas):
    """A pass taken up from what a ledger stores of it."""
    if selector in ("random", "score_only"):
        return new_pass(selector, source, scores, frozen=frozen, quotas=quotas)
    if selector == "repr_filter":
        return GreedyPass.resume(
            source, stopped.order, 0.8, NumpyKernel(), visited=stopped.visited, frozen=frozen, quotas=quotas,
            **stored(stopped),
        )  # fmt: skip
    return type(stopped).resume(source, stopped.order, frozen=frozen, **stored(stopped))


def at_budget(selector, vectors, scores, budget, **options):
    done = new_pass(selector, Vectors(vectors), scores, **options)
    done.run(budget)
    return done


def capped(caps):
    """Quotas of one pass."""
    return None if caps is None else Quotas(GROUP, caps)


@st.composite
def cases(draw, selector):
    takes_quotas = SELECTORS[selector].takes_quotas
    cap = st.one_of(st.just(int(NO_CAP)), st.integers(0, 12))
    caps = st.one_of(st.none(), st.lists(cap, min_size=GROUPS, max_size=GROUPS))
    vectors, scores = make_pool(draw(st.sampled_from(KINDS)), N, 4, np.float16, draw(st.integers(0, 2**16)))
    budgets = sorted(draw(st.lists(st.integers(1, N + 5), min_size=2, max_size=2)))
    return vectors, scores, budgets, draw(st.integers(0, N)), draw(caps) if takes_quotas else None


@pytest.mark.parametrize("selector", SELECTORS)
def test_a_budget_is_the_beginning_of_a_larger_one(selector):
    assert is_prefix_stable(selector, shares={}, floors={})

    @given(cases(selector))
    @settings(deadline=None, max_examples=40)
    def check(case):
        vectors, scores, (small, large), frozen, caps = case
        first = at_budget(selector, vectors, scores, small, frozen=frozen, quotas=capped(caps))
        second = at_budget(selector, vectors, scores, large, frozen=frozen, quotas=capped(caps))
        assert first.kept == second.kept[:small]
        kept = first.kept
        assert first.blocked_by[kept].tolist() == second.blocked_by[kept].tolist()
        assert first.similarity[kept].tobytes() == second.similarity[kept].tobytes()

    check()


@pytest.mark.parametrize("selector", SELECTORS)
def test_stopping_and_resuming_equals_one_run(selector):
    @given(cases(selector))
    @settings(deadline=None, max_examples=40)
    def check(case):
        vectors, scores, (small, large), frozen, caps = case
        stopped = at_budget(selector, vectors, scores, small, frozen=frozen, quotas=capped(caps))
        resumed = resumed_pass(
            selector, Vectors(vectors), scores, stopped, frozen=frozen, quotas=capped(caps)
        )
        expected = at_budget(selector, vectors, scores, large, frozen=frozen, quotas=capped(caps))
        for done in (stopped, resumed):
            done.run(large)
            assert state(done) == state(expected)
            assert done.is_over_quota.tobytes() == expected.is_over_quota.tobytes()

    check()


#: Quotas of one budget; in both, group 0 has the better scores.
QUOTAS_OF_A_BUDGET = {
    "shares": lambda group, budget: Quotas(group, [budget // 2, NO_CAP]),
    "floors": lambda group, budget: Quotas(group, [NO_CAP, NO_CAP], [0, 1], budget),
}


@pytest.mark.parametrize("selector", [name for name, facts in SELECTORS.items() if facts.takes_quotas])
@pytest.mark.parametrize("broken_by", QUOTAS_OF_A_BUDGET)
def test_shares_and_floors_break_it(selector, broken_by):
    assert not is_prefix_stable(
        selector,
        shares={"a": 0.5} if broken_by == "shares" else {},
        floors={"b": 1} if broken_by == "floors" else {},
    )
    vectors, scores = np.eye(8), np.arange(8, 0, -1.0)
    group = np.empty(8, dtype=np.int64)
    group[shuffled(scores) if selector == "random" else ranked(scores)] = [0, 0, 0, 0, 1, 1, 1, 1]
    of_budget = QUOTAS_OF_A_BUDGET[broken_by]
    kept = {b: at_budget(selector, vectors, scores, b, quotas=of_budget(group, b)).kept for b in (2, 4)}
    assert (len(kept[2]), len(kept[4])) == (2, 4)
    assert kept[4][:2] != kept[2]


@pytest.mark.parametrize(("selector", "facts"), SELECTORS.items())
def test_vectors_are_taken_where_the_table_says_so(selector, facts):
    source = Vectors(np.eye(8))
    new_pass(selector, source, np.arange(8.0)).run(4)
    assert facts.needs_vectors == (source.taken > 0)
    assert facts.name == selector


@pytest.mark.parametrize(("selector", "facts"), SELECTORS.items())
def test_near_duplicates_are_dropped_where_the_table_says_so(selector, facts):
    done = at_budget(selector, np.ones((8, 2), dtype=np.float16), np.arange(8.0), None)
    assert (len(done.kept) < 8) == facts.takes_threshold == (done.threshold < 1)
    assert done.exhausted


def test_unknown_selectors_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'kcenter', expected one of repr_filter, score_only, random, "):
        is_prefix_stable("kcenter", shares={}, floors={})
