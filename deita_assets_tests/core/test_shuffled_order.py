"""The shuffle of selector `random`."""

import hashlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_assets.core.shuffled_order import shuffled_order

KEYS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True, max_size=30)


@given(keys=KEYS, seed=st.integers())
def test_rows_go_by_the_digest_of_seed_and_key(keys, seed):
    def digest(row):
        return hashlib.sha256(str(seed).encode() + b":" + keys[row].encode("utf-8")).hexdigest()

    assert shuffled_order(keys, seed).tolist() == sorted(range(len(keys)), key=digest)


@given(keys=KEYS, seed=st.integers(0, 9), permutation=st.randoms())
def test_the_order_of_the_input_has_no_influence(keys, seed, permutation):
    moved = permutation.sample(keys, len(keys))
    assert [moved[row] for row in shuffled_order(moved, seed)] == [
        keys[row] for row in shuffled_order(keys, seed)
    ]


@given(keys=KEYS.filter(len), seed=st.integers(0, 9))
def test_a_new_row_moves_no_others_past_each_other(keys, seed):
    grown = [keys[row] for row in shuffled_order(keys, seed)]
    grown.remove(keys[-1])
    assert grown == [keys[row] for row in shuffled_order(keys[:-1], seed)]


def test_a_known_order_stays():
    """What was drawn once must be drawn again in years: digests written down, not computed."""
    assert shuffled_order(["a", "b", "c", "d", "e", "f"], 0).tolist() == KNOWN[0]
    assert shuffled_order(["a", "b", "c", "d", "e", "f"], 1).tolist() == KNOWN[1]


KNOWN = {0: [5, 3, 0, 2, 1, 4], 1: [3, 0, 5, 4, 1, 2]}


def test_every_row_comes_first_about_as_often():
    """3,000 seeds, 6 rows: 500 each, standard deviation 20.4; and each of 15 pairs about half either way."""
    orders = [shuffled_order(list("abcdef"), seed).tolist() for seed in range(3000)]
    first = Counter(order[0] for order in orders)
    assert set(first) == set(range(6)) and all(abs(count - 500) < 5 * 20.4 for count in first.values())
    for a in range(6):
        for b in range(a):
            before = sum(order.index(a) < order.index(b) for order in orders)
            assert abs(before - 1500) < 5 * 27.4


def test_equal_keys_are_refused():
    with pytest.raises(ValueError, match="key 'b' belongs to rows 1 and 3, expected different keys"):
        shuffled_order(["a", "b", "c", "b"], 0)
