"""The exact cosine, against rational arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from deita_assets.core.similarity import direction_keys, exact_rows, exact_similarity, float32_error_bound
from deita_assets_tests.core.greedy_oracle import full_pass

DTYPES = [np.float16, np.float32, np.float64]


def rational_similarity(x, y):
    """The definition: float64 products, sums rounded once (which is what float(Fraction) does)."""

    def rounded_sum(a, b):
        return float(sum(Fraction(p) for p in (a.astype(np.float64) * b.astype(np.float64)).tolist()))

    return min(1.0, max(-1.0, rounded_sum(x, y) / math.sqrt(rounded_sum(x, x) * rounded_sum(y, y))))


def all_pairs(array):
    rows = exact_rows(array, np.arange(len(array)))
    left, right = (index.ravel() for index in np.indices((len(array), len(array))))
    return exact_similarity(rows, left, rows, right).reshape(len(array), len(array))


def assert_matches_definition(array):
    expected = [[rational_similarity(x, y) for y in array] for x in array]
    assert np.array_equal(all_pairs(array), np.array(expected))


@st.composite
def pools(draw):
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 9)))
    bound = 1.0 if dtype == np.float16 else 2.0**30
    width = np.dtype(dtype).itemsize * 8
    # Raw floats of all magnitudes cancel badly; small integers tie.
    element = st.one_of(st.floats(-bound, bound, width=width), st.integers(-3, 3).map(float))
    array = draw(hnp.arrays(dtype, shape, elements=element))
    array[np.abs(array.astype(np.float64)).max(axis=1) < 2.0**-100, 0] = 1
    return array


@given(pools())
@settings(deadline=None, max_examples=300)
def test_equals_the_definition(array):
    assert_matches_definition(array)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dimension", [1, 2, 37, 384])
def test_equals_the_definition_on_dense_rows(dtype, dimension):
    rng = np.random.default_rng(dimension)
    array = rng.standard_normal((6, dimension))
    array[3:] = array[:3] + 1e-6 * array[3:]  # near 1, where most threshold decisions fall
    assert_matches_definition((array / np.linalg.norm(array, axis=1)[:, None]).astype(dtype))


def test_sums_that_lie_half_way_between_two_floats():
    """Only exact summation rounds these right: 1 + 2**-53 is a tie, the next term breaks it."""
    ones = np.ones(4)
    for tail in (2.0**-53, 2.0**-53 + 2.0**-105, 2.0**-53 - 2.0**-106, -(2.0**-54), -(2.0**-54) - 2.0**-107):
        x = np.array([1.0, tail, 2.0**-120, -(2.0**-121)])
        assert_matches_definition(np.stack([x, ones, -x, x[::-1]]))


def test_cancellation_to_nothing():
    x = np.array([1.0, 2.0**-40, -1.0, 2.0**-70])
    y = np.array([1.0, 1.0, 1.0, -(2.0**30)])
    assert all_pairs(np.stack([x, y]))[0, 1] == 0.0
    assert_matches_definition(np.stack([x, y]))


def test_float16_products_need_no_care_while_their_absolute_sum_is_below_32():
    """A plain float64 dot product in any order is the exact sum: multiples of 2**-48 below 2**53 of them."""
    rng = np.random.default_rng(0)
    for dimension in (31, 384, 4096):
        array = (rng.standard_normal((4, dimension)) / math.sqrt(dimension)).astype(np.float16)
        array[:, ::7] *= np.float16(2**-12)  # subnormals included
        assert (np.abs(array.astype(np.float64)) @ np.abs(array.astype(np.float64)).T).max() < 32
        wide = array.astype(np.float64)
        exact = np.array([[float(sum(map(Fraction, (x * y).tolist()))) for y in wide] for x in wide])
        for shuffled in (wide, wide[:, ::-1], wide[:, rng.permutation(dimension)]):
            assert np.array_equal([[np.dot(x, y) for y in shuffled] for x in shuffled], exact)
        assert_matches_definition(array)


def test_large_float16_rows_are_exact_too():
    rng = np.random.default_rng(1)
    array = (rng.standard_normal((5, 300)) * 5000).astype(np.float16)
    array[:, ::3] *= np.float16(
        2**-16
    )  # float64 cannot hold 5000**2 + 0.1**2 + ... to the last bit of every term
    assert_matches_definition(array)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_and_its_doubles_are_exactly_alike(dtype):
    rng = np.random.default_rng(2)
    row = rng.uniform(-1, 1, 200).astype(dtype)
    array = np.stack([row, 2 * row, row / 2, -row])
    assert all_pairs(array)[0].tolist() == [1.0, 1.0, 1.0, -1.0]
    same = (
        [0, 0] if dtype == np.float64 else [0, 1]
    )  # doubles of float64 rows may differ from them in products
    keys = direction_keys(exact_rows(array[[*same, 3]], np.arange(3)))
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("exponent", [-1040, -900, -300, 300, 900, 1015])
def test_float64_rows_of_any_magnitude(exponent):
    rng = np.random.default_rng(3)
    array = np.round(rng.standard_normal((4, 30)) * 64)
    scaled = np.ldexp(array, [[exponent], [0], [exponent], [-exponent if abs(exponent) < 1000 else 0]])
    assert np.array_equal(all_pairs(scaled), all_pairs(array))


def test_rows_without_direction_are_named():
    array = np.array([[1.0, 0], [0, 0], [np.nan, 1], [np.inf, 1]])
    with pytest.raises(ValueError, match=r"rows \[20, 30, 40\] are zero or not finite"):
        exact_rows(array, np.array([10, 20, 30, 40]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_float32_estimates_stay_within_the_bound(dtype):
    rng = np.random.default_rng(4)
    for dimension in (1, 3, 50, 1000):
        array = np.abs(rng.standard_normal((40, dimension))).astype(dtype)  # one sign: errors add up
        unit = exact_rows(array, np.arange(40)).unit_float32()
        in_order = np.zeros((40, 40), dtype=np.float32)
        for column in unit.T:  # one running float32 sum: the worst order
            in_order += column[:, None] * column[None, :]
        bound = float32_error_bound(dimension)
        assert (np.abs(in_order.astype(np.float64) - all_pairs(array)) <= bound).all()
        assert (np.abs((unit @ unit.T).astype(np.float64) - all_pairs(array)) <= bound).all()
        assert bound < 2e-7 * (dimension + 4)


@pytest.mark.parametrize("dimension", [0, -1, 2**20 + 1])
def test_dimensions_without_a_useful_bound_are_refused(dimension):
    with pytest.raises(ValueError, match="embedding dimension is"):
        float32_error_bound(dimension)


def test_scaled_copies_whose_products_vanish_are_told_apart():
    """By the definition they are not equally similar to a third row, so no block size may treat them as one."""
    small = np.array([1.0, 2.0**-53, 2.0**-800]) * 2.0**-190
    rows = np.stack([small, small * 2.0**190, [1.0, 1.0, 2.0**-100]])
    found = [float(exact_similarity(*_pair(rows, 2, at))[0]) for at in (0, 1)]
    assert found[0] != found[1]
    for block_size in (None, 1, 2):
        assert full_pass(rows, [0, 1, 2], found[0], block_size=block_size, frozen=2).kept == [0, 1]


def _pair(rows, left, right):
    one, other = (exact_rows(rows[[at]], np.array([at])) for at in (left, right))
    return one, np.array([0]), other, np.array([0])
