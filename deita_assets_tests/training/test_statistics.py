"""Rank statistics against definitions written out by hand."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_assets.training.statistics import bootstrap, partial_spearman, ranks, spearman, weighted_kappa

VALUES = st.lists(st.integers(-5, 5), min_size=3, max_size=30)


@given(VALUES)
def test_ranks_are_the_mean_place_of_equal_values(values):
    expected = [
        sum(other < value for other in values) + (sum(other == value for other in values) - 1) / 2
        for value in values
    ]
    assert ranks(values).tolist() == expected


@given(VALUES)
def test_spearman_is_one_with_itself_and_minus_one_with_its_opposite(values):
    if len(set(values)) > 1:
        assert spearman(values, values) == pytest.approx(1.0)
        assert spearman(values, [-value for value in values]) == pytest.approx(-1.0)
    else:
        assert math.isnan(spearman(values, values))


def test_spearman_without_ties_is_the_textbook_formula():
    rng = np.random.default_rng(0)
    a, b = rng.permutation(20), rng.permutation(20)
    assert spearman(a, b) == pytest.approx(1 - 6 * ((a - b) ** 2).sum() / (20 * (20**2 - 1)))


def test_partial_spearman_takes_out_what_a_third_ranking_explains():
    rng = np.random.default_rng(1)
    length = rng.normal(size=4_000)
    first, second = length + rng.normal(size=4_000), length + rng.normal(size=4_000)
    assert spearman(first, second) > 0.4
    assert abs(partial_spearman(first, second, length)) < 0.05


def test_weighted_kappa_is_one_for_equal_gradings_and_near_zero_for_independent_ones():
    rng = np.random.default_rng(2)
    a, b = rng.integers(1, 7, 5_000), rng.integers(1, 7, 5_000)
    assert weighted_kappa(a.tolist(), a.tolist()) == pytest.approx(1.0)
    assert abs(weighted_kappa(a.tolist(), b.tolist())) < 0.05


def test_weighted_kappa_equals_its_definition():
    a, b = [1, 2, 2, 3, 3, 1], [1, 2, 3, 3, 1, 2]
    observed = sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / len(a)
    chance = sum((x - y) ** 2 for x, y in itertools.product(a, b)) / len(a) ** 2
    assert weighted_kappa(a, b) == pytest.approx(1 - observed / chance)


def test_the_interval_covers_the_truth_and_widens_with_dependent_rows():
    rng = np.random.default_rng(3)
    group_means = rng.normal(size=50)
    values = np.repeat(group_means, 20)
    groups = [str(i // 20) for i in range(1_000)]
    by_group = bootstrap(lambda at: float(values[at].mean()), groups)
    by_row = bootstrap(lambda at: float(values[at].mean()), [str(i) for i in range(1_000)])
    assert by_group.low < 0.0 < by_group.high
    assert by_group.high - by_group.low > 3 * (by_row.high - by_row.low)
    assert by_group == bootstrap(lambda at: float(values[at].mean()), groups)
