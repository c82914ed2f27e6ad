"""What an earlier pass still says about another order, against the promise of `EarlierPass` taken literally."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.core.incremental_earlier import EarlierPass, earlier_pass, longest_ascent
from deita_assets_tests.core.greedy_oracle import KINDS, greedy, make_pool, similarity


@given(
    kind=st.sampled_from(KINDS),
    n=st.integers(1, 14),
    threshold=st.sampled_from([-0.5, 0.5, 0.9, 1.0]),
    moved=st.integers(0, 14),
    seed=st.integers(0, 2**16),
)
@settings(deadline=None, max_examples=150)
def test_the_promise(kind, n, threshold, moved, seed):
    """For each row with a nearest one, and each set of rows that might be kept now, by comparing them all."""
    rng = np.random.default_rng(seed)
    vectors, _ = make_pool(kind, n, 2, np.float32, seed)
    then = rng.permutation(n).tolist()
    visited = then[: int(rng.integers(1, n + 1))]
    _, decided = greedy(vectors, visited, threshold)
    now = [row for row in then if rng.random() < 0.9]
    for _ in range(moved if now else 0):
        now.insert(int(rng.integers(len(now))), now.pop(int(rng.integers(len(now)))))
    earlier = earlier_pass(
        now,
        visited,
        kept=[decided[row][0] for row in visited],
        blocked_by=[None if decided[row][1] < 0 else decided[row][1] for row in visited],
        similarity=[decided[row][2] for row in visited],
    )
    for rank in np.flatnonzero(earlier.counted).tolist():
        assert decided[now[rank]][0]
    for rank, nearest in enumerate(earlier.nearest.tolist()):
        if nearest < 0:
            assert nearest == -1 and np.isnan(earlier.similarity[rank])
            continue
        found = similarity(vectors[now[rank]], vectors[now[nearest]])
        assert nearest < rank and earlier.similarity[rank] == found
        for other in np.flatnonzero(earlier.counted[:rank]).tolist():
            near = similarity(vectors[now[rank]], vectors[now[other]])
            assert near < found or (near == found and other >= nearest)


def told(now, then, kept, blocked_by):
    similarity = [np.nan if row is None else 0.5 for row in blocked_by]
    return earlier_pass(now, then, kept=kept, blocked_by=blocked_by, similarity=similarity)


def test_nothing_changed():
    earlier = told("abcd", "abc", [1, 0, 1], [None, "a", "a"])
    assert earlier.counted.tolist() == [True, False, True, False]
    assert earlier.nearest.tolist() == [-1, 0, 0, -1]
    assert np.array_equal(earlier.similarity, [np.nan, 0.5, 0.5, np.nan], equal_nan=True)


def test_a_row_came_and_one_left():
    earlier = told("xacd", "abcd", [1, 1, 0, 0], [None, "a", "b", "a"])
    assert earlier.counted.tolist() == [False, True, False, False]
    assert earlier.nearest.tolist() == [-1, -1, -1, 1]


def test_a_row_moved_down():
    """It was compared with all that stand behind it now, but is not the first of those that tie any more."""
    earlier = told("bcda", "abcd", [1, 1, 1, 0], [None, "a", "b", "a"])
    assert earlier.counted.tolist() == [True, True, False, True]
    assert earlier.nearest.tolist() == [-1, 0, -1, -1]


def test_a_row_moved_up():
    """Rows it passed were not compared with it; its own nearest row may stand behind it now."""
    earlier = told("adbc", "abcd", [1, 1, 1, 1], [None, "a", "b", "a"])
    assert earlier.counted.tolist() == [True, False, True, True]
    assert earlier.nearest.tolist() == [-1, 0, 0, 2]
    earlier = told("dabc", "abcd", [1, 1, 1, 1], [None, "a", "b", "a"])
    assert earlier.nearest.tolist() == [-1, -1, 1, 2]


def test_most_of_a_large_pool_is_not_looked_at():
    class Keys(list):
        looked_at = 0

        def __getitem__(self, part):
            found = list.__getitem__(self, part)
            self.looked_at += len(found)
            return found

    then = list(range(5000))
    keys = Keys([*range(1, 5000), *range(10_000, 500_000), 0])
    earlier = told(keys, then, [True] * 5000, [None, *then[:-1]])
    assert keys.looked_at <= 20_000
    assert earlier.counted.sum() == 4999 and earlier.nearest[1:4999].tolist() == list(range(4998))


def test_a_row_that_fell_far_behind_is_found_where_many_moved():
    then = list(range(100))
    now = [*range(50, 100), *range(1000, 6000), *range(50)]
    earlier = told(now, then, [True] * 100, [None] + [0] * 99)
    assert earlier.counted.sum() == 100


@given(st.lists(st.integers(0, 30), unique=True, max_size=9))
@settings(deadline=None, max_examples=200)
def test_the_longest_ascent(numbers):
    chosen = [numbers[at] for at in np.flatnonzero(longest_ascent(np.array(numbers, np.int64)))]
    assert chosen == sorted(chosen)
    longest = max(
        size
        for size in range(len(numbers) + 1)
        if any(list(part) == sorted(part) for part in itertools.combinations(numbers, size))
    )
    assert len(chosen) == longest


@pytest.mark.parametrize(
    ("changed", "told_error"),
    [
        ({"visited": ["a", "a"]}, "1 different"),
        ({"kept": [True]}, r"\(1,\) kept"),
        ({"blocked_by": [None]}, "1 blocked_by"),
        ({"similarity": [0.5]}, r"\(1,\) similarity"),
        ({"keys": ["a", "b", "a"]}, "a key occurs twice"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changed, told_error):
    parts = {
        "keys": ["a", "b"],
        "visited": ["a", "b"],
        "kept": [True, True],
        "blocked_by": [None, "a"],
        "similarity": [None, 0.5],
    }
    with pytest.raises(ValueError, match=told_error):
        earlier_pass(**(parts | changed))


@pytest.mark.parametrize(
    ("counted", "nearest", "similarity", "told_error"),
    [
        ([True], [-1, 0], [np.nan, 0.5], "three arrays over the same order"),
        ([True, True], [-1, 1], [np.nan, 0.5], "no rank before its own"),
        ([True, True], [-1, -2], [np.nan, 0.5], "no rank before its own"),
        ([True, True], [-1, 0], [np.nan, np.nan], "no similarity"),
    ],
)
def test_an_earlier_pass_that_cannot_be_is_refused(counted, nearest, similarity, told_error):
    with pytest.raises(ValueError, match=told_error):
        EarlierPass(np.array(counted), np.array(nearest), np.array(similarity))


def test_an_earlier_pass_that_visited_nothing():
    earlier = told("ab", "", [], [])
    assert not earlier.counted.any() and (earlier.nearest == -1).all()
    assert len(told("", "", [], []).nearest) == 0
