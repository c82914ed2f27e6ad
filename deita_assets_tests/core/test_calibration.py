"""What a calibration makes of a walk and a pass."""

import json
import math

import numpy as np
import pytest

from deita_assets.core import calibration as rules
from deita_assets.core.block_kernel import NumpyKernel
from deita_assets.core.calibration import Calibration, Pair, side_by_side, threshold_grid
from deita_assets.core.threshold_evidence import Recommendation
from deita_assets.core.threshold_walk import MOST_THRESHOLDS, walk_thresholds
from deita_assets_tests.core.greedy_oracle import Vectors, full_pass, greedy, make_pool, ranked, similarity


@pytest.fixture(scope="module")
def pool():
    vectors, scores = make_pool("clusters", 130, 5, np.float16, seed=11)
    return vectors, ranked(scores)


@pytest.fixture(scope="module")
def walk(pool):
    vectors, order = pool
    return walk_thresholds(Vectors(vectors), order, [0.3, 0.6, 0.9], NumpyKernel(), pairs_per_band=20)


def test_the_grid_is_denser_at_the_top_and_holds_the_current_threshold():
    grid = threshold_grid(0.9)
    steps = np.diff(grid)
    assert (grid[0], grid[-1]) == (0.5, 0.99)
    assert len(grid) == len(set(grid)) < MOST_THRESHOLDS
    assert (np.diff(steps) < 1e-9).all()  # steps only get smaller
    assert threshold_grid(0.123)[0] == 0.123
    assert threshold_grid(1.0)[-1] == 1.0
    assert len(threshold_grid(0.905)) == len(grid) + 1


def test_the_curve_counts_kept_rows(pool, walk):
    vectors, order = pool
    for point, threshold in zip(rules.curve_of(walk), (0.3, 0.6, 0.9), strict=True):
        kept, _ = greedy(vectors, order, threshold)
        assert (point.threshold, point.kept) == (threshold, len(kept))
        assert math.isclose(point.dropped_share, (130 - len(kept)) / 130)


def test_growth_goes_in_twentieths_to_the_last_row(pool, walk):
    vectors, order = pool
    growth = rules.growth_of(walk)
    assert len(growth) == 20
    assert [one.visited for one in growth] == [130 * part // 20 for part in range(1, 21)]
    for at, threshold in enumerate((0.3, 0.6, 0.9)):
        is_kept = full_pass(vectors, order, threshold).is_kept
        assert [one.kept[at] for one in growth] == [int(is_kept[: one.visited].sum()) for one in growth]


def test_percentiles_are_of_the_nearest_other_row(pool, walk):
    vectors, order = pool
    nearest = [max(similarity(vectors[a], vectors[b]) for b in order if b != a) for a in order]
    found = dict(rules.percentiles_of(walk))
    assert list(found) == [1, 5, 10, 25, 50, 75, 90, 95, 99]
    for percentile, value in found.items():
        assert math.isclose(value, np.percentile(nearest, percentile), abs_tol=1e-4)


def test_pairs_on_either_side_of_a_threshold(pool):
    vectors, order = pool
    ids = [f"row {rank}" for rank in range(len(order))]
    below, above = rules.pairs_around(full_pass(vectors, order, 0.8), ids)
    _, decided = greedy(vectors, order, 0.8)
    rank = {row: at for at, row in enumerate(order)}
    every = [
        (value, f"row {rank[row]}", f"row {rank[nearest]}", keep)
        for row, (keep, nearest, value) in decided.items()
        if nearest >= 0
    ]
    kept = sorted((-value, int(row.split()[1]), row, near) for value, row, near, keep in every if keep)
    dropped = sorted((value, int(row.split()[1]), row, near) for value, row, near, keep in every if not keep)
    assert len(kept) > 10 < len(dropped)
    assert below == tuple(Pair(-value, row, near) for value, _, row, near in kept[:10])
    assert above == tuple(Pair(value, row, near) for value, _, row, near in dropped[:10])
    assert below[0].similarity <= 0.8 < above[0].similarity


def test_the_first_row_has_no_pair():
    below, above = rules.pairs_around(full_pass(np.eye(3)[[0, 1, 1]], np.arange(3), 0.5), ["a", "b", "c"])
    assert below == (Pair(0.0, "b", "a"),)
    assert above == (Pair(1.0, "c", "b"),)


def test_bands_tell_how_many_pairs_read_alike(walk):
    rows = {row for band in walk.pairs for pair in band for row in pair[:2]}
    alone = rules.bands_of(walk, {row: {f"only {row}"} for row in rows})
    assert [(band.low, band.high) for band in alone] == [(0.3, 0.6), (0.6, 0.9), (0.9, 1.0)]
    assert [band.rows for band in alone] == [walk.band_rows(at) for at in range(3)]
    assert [band.pairs for band in alone] == [len(pairs) for pairs in walk.pairs] == [20, 20, 20]
    assert [band.alike for band in alone] == [0, 0, 0]
    first = walk.pairs[1][0]
    words = {row: {f"only {row}"} for row in rows} | {first.row: {"x"}, first.nearest: {"x"}}
    assert (
        rules.bands_of(walk, words)[1].alike
        == sum(words[p.row] == words[p.nearest] for p in walk.pairs[1]) / 20
        > 0
    )


def test_a_band_without_rows_has_no_share():
    walk = walk_thresholds(Vectors(np.eye(4)), np.arange(4), [0.5, 0.9], NumpyKernel())
    assert [(band.rows, band.pairs, band.alike) for band in rules.bands_of(walk, {})] == [(0, 0, None)] * 2


def test_nothing_and_one_row_have_no_percentiles():
    for n in (0, 1):
        walk = walk_thresholds(Vectors(np.eye(3)), np.arange(n), [0.5], NumpyKernel())
        assert rules.percentiles_of(walk) == ()
        assert rules.curve_of(walk)[0].dropped_share == 0
        assert len(rules.growth_of(walk)) == n


def test_a_result_survives_json(pool, walk):
    done = Calibration(
        "id", "source", "s", 0.6, 130, 150, rules.curve_of(walk), rules.growth_of(walk), rules.percentiles_of(walk),
        rules.bands_of(walk, dict.fromkeys(range(130), {"x"})), (Pair(0.5, "a", "b"),), (), Recommendation(0.9, "so"),
    )  # fmt: skip
    assert Calibration.of_values(json.loads(json.dumps(done.values(), allow_nan=False))) == done
    assert done.dropped_share == rules.curve_of(walk)[1].dropped_share > 0


def test_side_by_side_shows_what_differs():
    head = "the same template at length, " * 20
    one, other = side_by_side(f"{head}red apples{'!' * 99}", f"{head}green pears", 40)
    assert one.startswith("…")
    assert "red apples" in one
    assert one.endswith("!…")
    assert other.endswith("green pears")
    assert len(one) <= 42
    assert side_by_side("short", "other", 40) == ("short", "other")
    assert side_by_side("abc" * 30, "abc" * 30, 10)[0].startswith("…")
    assert side_by_side("ab", "abc", 10) == ("ab", "abc")
