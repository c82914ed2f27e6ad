"""Which pairs of a block are compared exactly: all that an estimate leaves open, and no more."""

import numpy as np

from deita_assets.core.incremental_block import Standing, decide, pairs_in_block

EPS = 1e-3
THRESHOLD = 0.9


def standing(searched, counted, similarity, always=(), distinct=True):
    n = len(searched)
    frozen = np.isin(np.arange(n), always)
    return Standing(
        np.array(searched, bool),
        np.array(counted, bool),
        frozen,
        np.full(n, distinct),
        np.zeros(n, np.int64),
        np.array(similarity, float),
    )


def pairs(of, estimates):
    at = of.to_compare(THRESHOLD)
    found = pairs_in_block(of, at, np.array(estimates, np.float32)[at], THRESHOLD, EPS)
    return sorted(zip(found.row.tolist(), found.column.tolist(), strict=True))


def symmetric(n, **near):
    """(n, n) estimates: those given as r2_0=..., else 0."""
    estimates = np.zeros((n, n))
    for name, value in near.items():
        row, column = (int(part) for part in name[1:].split("_"))
        estimates[row, column] = estimates[column, row] = value
    return estimates


def test_a_searched_row_meets_what_may_be_nearer_than_its_nearest_so_far():
    of = standing([0, 0, 1], [1, 1, 1], [0.1, 0.1, 0.5])
    assert pairs(of, symmetric(3, r2_0=0.5 - 0.9 * EPS, r2_1=0.5 - 1.1 * EPS)) == [(2, 0)]


def test_a_searched_row_meets_what_may_be_the_nearest_of_its_block():
    of = standing([0, 0, 0, 1], [1, 1, 1, 1], [0.1, 0.1, 0.1, -np.inf])
    estimates = symmetric(4, r3_0=0.5, r3_1=0.5 - 1.9 * EPS, r3_2=0.5 - 2.1 * EPS)
    assert pairs(of, estimates) == [(3, 0), (3, 1)]


def test_a_row_that_may_be_dropped_hides_no_other():
    """Row 1 is nearest to row 3, but row 0, new, may drop it: row 2 is compared as well."""
    of = standing([1, 0, 0, 1], [0, 1, 1, 1], [0.1, 0.1, 0.1, -np.inf])
    near = {"r3_1": 0.8, "r3_2": 0.5}
    assert (3, 2) not in pairs(of, symmetric(4, **near, r1_0=THRESHOLD - 1.1 * EPS))
    assert (3, 2) in pairs(of, symmetric(4, **near, r1_0=THRESHOLD - 0.9 * EPS))


def test_a_quiet_row_meets_new_rows_only():
    of = standing([0, 1, 1, 0], [1, 1, 0, 0], [0.1, 0.1, 0.1, 0.3])
    assert pairs(of, symmetric(4, r3_0=0.5, r3_1=0.5, r3_2=0.3 - 0.9 * EPS)) == [(3, 2)]
    assert pairs(of, symmetric(4, r3_0=0.5, r3_1=0.5, r3_2=0.3 - 1.1 * EPS)) == []


def test_rows_that_are_dropped_or_not_distinct_are_no_neighbours():
    dropped = standing([0, 1], [1, 1], [0.95, 0.1])
    assert pairs(dropped, symmetric(2, r1_0=0.5)) == []
    assert pairs(dropped._replace(always=np.array([True, False])), symmetric(2, r1_0=0.5)) == [(1, 0)]
    assert pairs(standing([0, 1], [1, 1], [0.1, 0.1], distinct=False), symmetric(2, r1_0=0.5)) == []


def test_a_dropped_row_drops_nothing():
    of = standing([1, 1, 1, 1], [0, 0, 0, 0], [-np.inf, 0.1, 0.1, 0.95])
    estimates = symmetric(4, r1_0=0.95, r2_1=0.95)
    at = of.to_compare(THRESHOLD)
    found = pairs_in_block(of, at, estimates[at].astype(np.float32), THRESHOLD, EPS)
    keep = decide(of, found, estimates[found.row, found.column], THRESHOLD)
    assert keep.tolist() == [True, False, True, False]
    frozen = of._replace(always=np.array([False, True, False, False]))
    found = pairs_in_block(frozen, at, estimates[at].astype(np.float32), THRESHOLD, EPS)
    assert decide(frozen, found, estimates[found.row, found.column], THRESHOLD).tolist() == [
        True,
        True,
        False,
        False,
    ]
