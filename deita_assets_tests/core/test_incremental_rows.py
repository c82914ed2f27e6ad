"""Rows prepared quickly: how far off their estimates are, and when they are not prepared so."""

import numpy as np
import pytest

from deita_assets.core.block_kernel import NumpyKernel
from deita_assets.core.incremental_rows import KeptUnits, quick_error_bound, quick_unit
from deita_assets.core.similarity import exact_rows, exact_similarity, float32_error_bound
from deita_assets_tests.core.greedy_oracle import DTYPES


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [1, 2, 7, 384, 4096])
def test_estimates_keep_to_the_bound(dtype, d):
    """Rows of one sign, whose rounding errors add up, and of all lengths that quick preparation takes."""
    rng = np.random.default_rng(d)
    stored = np.abs(rng.standard_normal((60, d))) + 0.1
    if dtype is not np.float16:
        stored *= 2.0 ** rng.integers(-20, 20, (60, 1))
    stored = stored.astype(dtype)
    unit = quick_unit(stored)
    rows = exact_rows(stored, np.arange(60))
    left, right = np.divmod(np.arange(3600), 60)
    exact = exact_similarity(rows, left, rows, right).reshape(60, 60)
    sequential = np.zeros((60, 60), np.float32)  # the worst order of summation
    for column in range(d):
        sequential += np.outer(unit[:, column], unit[:, column])
    for estimates in (unit @ unit.T, sequential):
        assert np.abs(estimates - exact).max() <= quick_error_bound(d)
    assert float32_error_bound(d) < quick_error_bound(d) < 3 * float32_error_bound(d)


@pytest.mark.parametrize("bad", [0.0, 1e-12, 1e12, np.inf, np.nan])
def test_rows_that_float32_cannot_square_are_left_to_others(bad):
    rows = np.ones((3, 4), np.float32)
    rows[1] = bad
    assert quick_unit(rows) is None
    assert quick_unit(rows[[0, 2]]) is not None
    assert quick_unit(np.full((1, 4), 1e300)) is None


def test_new_rows_that_may_be_as_near():
    """All that are within the bound, none that is clearly farther, in the ranks of the order."""
    unit = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0]], np.float32)
    units = KeptUnits(NumpyKernel(), 2, 0)
    block = units.block(np.array([3, 5, 8, 9]), unit, unit)
    units.append(block, np.array([True, True, False, True]), np.array([False, True, False, False]))
    near, estimates = units.near_new(unit[2:3], np.array([0.6 + units.eps / 2]))
    assert (near.row.tolist(), near.column.tolist()) == ([0], [3])
    assert estimates == pytest.approx([0.6])
    assert units.near_new(unit[2:3], np.array([0.7]))[0].row.tolist() == []
    near, _ = units.near_new(unit[1:3], np.array([-1, -1]))
    assert sorted(zip(near.row.tolist(), near.column.tolist(), strict=True)) == [
        (0, 3),
        (0, 9),
        (1, 3),
        (1, 9),
    ]
    best = units.near_best(unit[1:3])
    assert sorted(zip(best.row.tolist(), best.column.tolist(), strict=True)) == [(0, 5), (1, 5)]
