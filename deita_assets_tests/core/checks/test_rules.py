"""Rules of the asset checks: the formulas against their definitions, the edges, and what every finding has to hold."""

from __future__ import annotations

import dataclasses
import math
import statistics

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deita_assets.core.checks import (
    ledger_rules,
    pool_rules,
    score_rules,
    scored_rules,
    subset_rules,
    vector_rules,
)
from deita_assets.core.checks.finding import MOST_EXAMPLES, few
from deita_assets.core.checks.scored_rules import ScoredRow
from deita_assets.core.evol_score import aggregate, turn_products


def spearman_by_definition(first, second):
    """Pearson's correlation of mean ranks, each counted by comparing with all others."""

    def ranks(values):
        return [sum(o < v for o in values) + (sum(o == v for o in values) + 1) / 2 for v in values]

    try:
        return statistics.correlation(ranks(first), ranks(second))
    except statistics.StatisticsError:  # fewer than two, or one side constant
        return 0.0


@given(st.lists(st.tuples(st.sampled_from([1.0, 1.5, 2.0, 5.75, 6.0]), st.integers(0, 6)), max_size=25))
@example([])
@example([(1.0, 1), (2.0, 1)])
@example([(1.0, 3), (2.0, 2), (6.0, 1)])
def test_spearman_is_the_correlation_of_mean_ranks(pairs):
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    found = score_rules.spearman(np.array(first, np.float64), np.array(second, np.int64))
    assert found == pytest.approx(spearman_by_definition(first, second), abs=1e-12)


@given(
    hnp.arrays(
        np.float64,
        st.integers(1, 60),
        elements=st.floats(-1e3, 1e3, allow_subnormal=True).filter(lambda x: x == x),
    ).filter(lambda v: np.linalg.norm(v) > 1e-6)
)
def test_a_unit_vector_in_float16_is_within_the_tolerance(vector):
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    (length,) = vector_rules.norms(unit.astype(np.float16)[None])
    assert abs(length - 1) <= vector_rules.norm_tolerance(len(vector))


def test_the_tolerance_is_near_what_rounding_can_do():
    """One component just below the middle of two neighbours of 1 is moved by almost half their distance, 2^-11."""
    (length,) = vector_rules.norms(np.array([[1 - 2**-12]], np.float16))
    assert vector_rules.norm_tolerance(1) > abs(length - 1)
    assert vector_rules.norm_tolerance(384) == pytest.approx(0.000589, abs=1e-6)
    assert vector_rules.norm_tolerance(4096) < 0.0006


def turn_scores(**given_):
    usual = score_rules.TurnScores(
        "quality", "tea", 30, 30, 30, {"ok": 30}, np.linspace(1, 6, 30), np.arange(30)[::-1].astype(np.int64)
    )
    return dataclasses.replace(usual, **given_)


@pytest.mark.parametrize(("n_other", "passed"), [(0, True), (5, True), (6, False)])
def test_the_share_of_other_statuses_may_be_five_percent(n_other, passed):
    found = score_rules.status_share(turn_scores(statuses={"ok": 100 - n_other, "fallback": n_other}))
    assert (found.passed, found.grave) == (passed, False)
    assert found.numbers["share_not_ok"] == n_other / 100


@pytest.mark.parametrize(
    ("scores", "passed"),
    [
        ([3.0] * 20, False),
        ([3.0] * 19, True),  # too few to say
        ([3.0] * 19 + [3.02], False),  # deviation 0.0044
        ([3.0, 3.021] * 10, True),  # deviation 0.0105
        ([3.0, 3.019] * 10, False),
        ([math.nan] * 30, True),
        ([], True),
    ],
)
def test_scores_that_rank_nothing(scores, passed):
    found = score_rules.constant_scores(
        turn_scores(scores=np.array(scores, np.float64), lengths=np.arange(len(scores), dtype=np.int64))
    )
    assert (found.passed, found.grave) == (passed, False)
    assert bool(found.cure) is not passed


@pytest.mark.parametrize(("n", "passed"), [(19, True), (20, False)])
def test_scores_that_follow_the_length(n, passed):
    scores = turn_scores(scores=np.linspace(1, 6, n), lengths=np.arange(n, dtype=np.int64))
    found = score_rules.length_correlation(scores)
    assert (found.passed, found.numbers["spearman"]) == (passed, 1.0)
    opposite = score_rules.length_correlation(
        dataclasses.replace(scores, lengths=scores.lengths[::-1].copy())
    )
    assert (opposite.passed, opposite.numbers["spearman"]) == (True, -1.0)


ROW = ScoredRow("a:1", 14.0, [2.0, 12.0], [1.0, 3.0], [2.0, 4.0])


@pytest.mark.parametrize(
    ("changed", "passed"),
    [
        ({}, True),
        ({"evol_score": 14.000000000000002}, False),
        ({"evol_score": 7.0}, True),  # made with mean, before the setting changed
        ({"products": [12.0, 2.0]}, False),
        ({"products": None}, False),
        ({"complexity": [1.0, None]}, False),
        ({"complexity": [1.0, None], "evol_score": None, "products": None}, True),
        ({"complexity": [1.0, math.nan], "evol_score": None, "products": None}, True),
        ({"complexity": [], "quality": [], "evol_score": None, "products": None}, True),
    ],
)
def test_an_evol_score_made_again(changed, passed):
    found = scored_rules.evol_scores("a", [dataclasses.replace(ROW, **changed)], "sum")
    assert (found.passed, found.grave) == (passed, True)
    assert found.examples == (() if passed else ("a:1",))


@given(
    st.lists(
        st.lists(st.tuples(st.floats(1, 6), st.floats(1, 6)), min_size=1, max_size=4), min_size=1, max_size=5
    ),
    st.sampled_from(["sum", "mean", "max", "first", "last"]),
)
def test_what_was_made_right_is_found_right(conversations, how):
    sample = []
    for n, turns in enumerate(conversations):
        complexity, quality = [c for c, _ in turns], [q for _, q in turns]
        products = turn_products(complexity, quality)
        sample.append(ScoredRow(f"a:{n}", aggregate(products, how), products, complexity, quality))
    assert scored_rules.evol_scores("a", sample, how).passed
    sample[0] = dataclasses.replace(sample[0], evol_score=sample[0].evol_score + 40)
    assert not scored_rules.evol_scores("a", sample, how).passed


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(-3, 3))
def test_rows_add_up_or_the_difference_is_told(pool, duplicates, quarantined, taken, off):
    n_read = max(pool + duplicates + quarantined + taken + off, 0)
    distinct = pool + taken
    account = pool_rules.PoolAccount(n_read, distinct + duplicates, distinct, quarantined, taken, pool, pool)
    found = pool_rules.row_accounting("tea", account)
    assert found.numbers["unaccounted"] == n_read - (pool + duplicates + quarantined + taken)
    assert found.passed is (found.numbers["unaccounted"] == 0)


def test_a_ledger_that_adds_up_and_one_of_a_frozen_base():
    sound = ledger_rules.LedgerCounts(
        "mixture", "all", "abc", 12, 4, n_pool=10, n_from_base=2, n_ids=12,
        verdicts={"kept": 4, "near_duplicate": 3, "unscored": 5}, positions=(1, 4, 4), ranks=(1, 7, 7, 7),
    )  # fmt: skip
    assert ledger_rules.row_accounting(sound).passed
    empty = dataclasses.replace(
        sound, n_rows=0, n_kept=0, n_pool=0, n_from_base=0, n_ids=0, verdicts={}, positions=(0, 0, 0),
        ranks=(0, 0, 0, 0),
    )  # fmt: skip
    assert ledger_rules.row_accounting(empty).passed
    for change in (
        {"n_pool": 11}, {"n_from_base": 0}, {"n_ids": 11}, {"n_rows": 11}, {"n_kept": 5}, {"positions": (1, 5, 4)},
        {"positions": (1, 4, 3)}, {"positions": (0, 3, 4)}, {"ranks": (1, 7, 6, 7)}, {"lacking": ("a:1",)},
        {"verdicts": {"kept": 4, "near_duplicate": 3, "lost": 5}},
    ):  # fmt: skip
        found = ledger_rules.row_accounting(dataclasses.replace(sound, **change))
        assert (found.passed, found.grave) == (False, True), change
        assert "`deita-assets curate --mixture all`" in found.cure


@pytest.mark.parametrize(("n_rows", "passed"), [(10, True), (9, False), (0, False)])
def test_a_budget(n_rows, passed):
    found = subset_rules.budget_met("source", "tea", 10, n_rows, {"kept": n_rows, "unscored": 3}, True)
    assert (found.passed, found.grave) == (passed, False)
    assert passed or "3 unscored" in found.message
    assert "calibrate" not in found.cure  # no threshold drops unscored rows


def test_counts_of_a_copy_are_compared_only_while_the_original_stands_still():
    counts = subset_rules.PublishedCounts({"turn": 3, "new": 0}, {"turn": 3}, moved_on=False)
    found = subset_rules.catalog_agrees(counts)
    assert (found.passed, found.examples) == (False, ("new",))
    assert subset_rules.catalog_agrees(dataclasses.replace(counts, moved_on=True)).passed


def test_examples_are_few_sorted_and_different():
    assert few(f"a:{n % 30:02d}" for n in range(60, 0, -1)) == tuple(
        f"a:{n:02d}" for n in range(MOST_EXAMPLES)
    )
