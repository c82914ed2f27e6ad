"""Scores from digit logits, and conversation scores from turn scores."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.core.aggregations import AGGREGATIONS
from deita_assets.core.evol_score import aggregate, expected_score, turn_products

finite = st.floats(-50, 50)


def softmax_expectation(logits):
    """The definition, with Python's exponential and exact sums."""
    weights = [Fraction(math.exp(x - max(logits))) for x in logits]
    return float(sum(k * w for k, w in enumerate(weights, start=1)) / sum(weights))


@given(st.lists(finite, min_size=6, max_size=6))
@settings(deadline=None, max_examples=200)
def test_is_the_expected_digit(logits):
    score = expected_score(np.array(logits))
    assert score.shape == () and score.dtype == np.float64
    assert 1.0 <= score <= 6.0
    assert score == pytest.approx(softmax_expectation(logits), rel=1e-14)


@given(st.lists(finite, min_size=6, max_size=6), st.integers(-1000, 1000))
@settings(deadline=None, max_examples=100)
def test_adding_a_constant_changes_nothing(logits, shift):
    rounded = np.round(np.array(logits) * 16) / 16  # so that the shift itself is exact
    assert expected_score(rounded + shift) == expected_score(rounded)


def test_equal_logits_give_the_middle_and_certainty_gives_the_digit():
    assert expected_score(np.zeros(6)) == 3.5
    certain = np.where(np.eye(6) > 0, 0.0, -np.inf)
    assert expected_score(certain).tolist() == [1, 2, 3, 4, 5, 6]


def test_huge_logits_do_not_overflow():
    assert expected_score([1e308, 0, 0, 0, 0, 1e308]) == 3.5
    assert expected_score([-1e308] * 6) == 3.5


@pytest.mark.parametrize(
    "logits",
    [
        [-np.inf] * 6,
        [0, 0, np.nan, 0, 0, 0],
        [-np.inf, -np.inf, np.nan, 0, 0, 0],
        [0, 0, np.inf, 0, 0, 0],
        [np.inf] * 6,
    ],
)
def test_no_distribution_is_nan_and_leaves_the_others_alone(logits):
    with np.errstate(invalid="raise"):
        scores = expected_score(np.array([[0.0] * 6, logits, [0.0] * 6]))
    assert np.isnan(scores).tolist() == [False, True, False]
    assert scores[0] == 3.5


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_any_leading_shape_and_dtype(dtype):
    logits = np.arange(2 * 3 * 6).reshape(2, 3, 6).astype(dtype)
    scores = expected_score(logits)
    assert scores.shape == (2, 3) and scores.dtype == np.float64
    assert np.array_equal(scores, expected_score(logits.astype(np.float64)))
    assert expected_score(np.empty((0, 6))).shape == (0,)


def test_memory_layout_does_not_change_a_bit():
    logits = np.random.default_rng(0).normal(size=(500, 6))
    one_by_one = np.array([expected_score(row) for row in logits])
    assert np.array_equal(expected_score(logits), one_by_one)
    assert np.array_equal(expected_score(np.asfortranarray(logits)), one_by_one)
    assert np.array_equal(expected_score(logits[::-1])[::-1], one_by_one)


@pytest.mark.parametrize("shape", [(), (5,), (7,), (6, 5), (0,)])
def test_other_last_axes_are_refused(shape):
    with pytest.raises(ValueError, match=r"expected \(\.\.\., 6\)"):
        expected_score(np.zeros(shape))


@given(st.lists(st.floats(1, 36), min_size=1, max_size=30))
@settings(deadline=None, max_examples=100)
def test_aggregations_are_exact_and_sum_ignores_order(products):
    exact = sum(map(Fraction, products))
    assert aggregate(products) == aggregate(products, "sum") == float(exact)
    assert aggregate(products[::-1]) == aggregate(products)
    assert aggregate(products, "mean") == float(exact) / len(products)
    assert aggregate(products, "max") == max(products)
    assert (aggregate(products, "first"), aggregate(products, "last")) == (products[0], products[-1])


@pytest.mark.parametrize("how", AGGREGATIONS)
@pytest.mark.parametrize(
    "products", [[], [math.nan], [4.0, math.nan, 9.0], [math.nan, 4.0], [math.inf, -math.inf]]
)
def test_a_conversation_with_a_missing_turn_has_no_score(how, products):
    assert math.isnan(aggregate(products, how))


def test_unknown_aggregation_is_refused():
    with pytest.raises(ValueError, match="'median', expected one of sum, mean, max, first, last"):
        aggregate([1.0], "median")


def test_turn_products_are_not_broadcast():
    assert turn_products([2.0, 3.0], [5.0, 1.5]) == [10.0, 4.5]
    assert turn_products(np.float32([2.5]), np.float32([2.0])) == [5.0]
    assert math.isnan(turn_products([2.0, math.nan], [5.0, 1.0])[1])
    assert turn_products([], []) == []
    with pytest.raises(ValueError, match="1 complexity and 2 quality scores"):
        turn_products([3.0], [1.0, 2.0])
