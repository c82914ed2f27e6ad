"""When two rows count as alike, and which threshold bands of pairs recommend."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_assets.core.threshold_evidence import Band, common_words, recommend, share_half, words_of


def bands(*shares, pairs=20, edges=(0.5, 0.6, 0.7, 0.8, 0.9)):
    """Ascending bands up to 1.0 with these shares of alike pairs; a pair (share, n) has n pairs."""
    ends = [*edges, 1.0]
    made = []
    for at, share in enumerate(shares):
        alike, n = share if isinstance(share, tuple) else (share, pairs)
        made.append(Band(ends[at], ends[at + 1], 3 * n, n, alike if n else None))
    return made


def test_words_are_distinct_in_lower_case_without_punctuation():
    assert words_of("The cat, the CAT; it's 3.5 km — naïve_Ёлка!") == {
        "the", "cat", "it", "s", "3", "5", "km", "naïve_ёлка",
    }  # fmt: skip
    assert words_of("") == words_of(" ,.\n") == frozenset()


def test_characters_of_scripts_without_spaces_are_words():
    assert words_of("猫が好き cats") == {"猫", "が", "好", "き", "cats"}
    assert words_of("고양이 좋아") == {"고양이", "좋아"}


def test_common_words_are_in_more_than_a_tenth_of_the_rows():
    texts = [
        f"word{n} every" + (" eleven" if n < 11 else "") + (" ten" if n < 10 else "") for n in range(100)
    ]
    assert common_words(texts) == {"every", "eleven"}
    assert common_words(texts * 3) == {"every", "eleven"}  # of 300 rows 33 are more than a tenth, 30 are not


def test_in_a_few_rows_nothing_is_common_that_only_a_few_have():
    assert common_words(["same words"] * 10) == frozenset()
    assert common_words(["same words"] * 11) == {"same", "words"}
    assert common_words(["twice twice"] * 10) == frozenset()


@pytest.mark.parametrize(
    ("one", "other", "half"),
    [
        ("a b c d", "a b x y", True),  # each shares half of its words
        ("a b c d", "a x y z", False),
        ("a b", "a b c d e f", True),  # four of eight
        ("a b", "a b c d e f g", False),
        ("a", "a b c d", False),  # contained, but the other row has three words of its own
        ("a b c", "a b c", True),
        ("a", "", False),
        ("", "", True),
    ],
)
def test_half_of_the_words_of_both_rows(one, other, half):
    assert share_half(one.split(), other.split()) is half
    assert share_half(other.split(), one.split()) is half


@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_half_by_counting(one, other):
    in_both = sum(word in other for word in one) + sum(word in one for word in other)
    assert share_half(one, other) is (in_both >= (len(one) + len(other)) / 2)


def test_the_upper_edge_of_the_highest_band_of_unlike_pairs():
    found = recommend(bands(0.1, 0.9, 0.49, 0.5, 0.8), 0.42)
    assert found.threshold == 0.8
    assert (
        found.reason
        == "of the pairs between 0.7 and 0.8 only 49 % share half of their words; of nearer ones at least half do"
    )


def test_bands_with_few_pairs_say_nothing():
    assert recommend(bands(0.1, 0.9, (0.0, 9), 0.5, (0.0, 9)), 0.42).threshold == 0.6
    assert recommend(bands(0.1, 0.9, (0.0, 10), 0.5, (0.0, 9)), 0.42).threshold == 0.8


def test_nothing_is_recommended_below_the_evidence():
    found = recommend(bands((0.0, 0), (1.0, 9), 0.9, (0.0, 3), 0.9), 0.42)
    assert found.threshold == 0.7
    assert "down to 0.7" in found.reason
    assert recommend(bands(0.9, 0.9, 0.9, 0.9, 0.9), 0.42).threshold == 0.5


def test_too_few_pairs_leave_the_default():
    found = recommend(bands((1.0, 9), (0.0, 0), (0.5, 4), (0.5, 4), (0.0, 9)), 0.42)
    assert found.threshold == 0.42
    assert found.reason.startswith("too few pairs are nearer than 0.5 ")
    assert recommend([], 0.42).threshold == 0.42


def test_unlike_pairs_with_nothing_nearer_to_tell():
    shares = (0.1, 0.2, 0.3, (1.0, 9), (1.0, 9))
    found = recommend(bands(*shares), 0.42)
    assert found.threshold == 0.8
    assert found.reason.endswith("too few nearer ones to tell")
    assert recommend(bands(*shares), 0.8).reason == found.reason
    own = recommend(bands(*shares), 0.85)  # unlike pairs further away do not speak for a lower threshold
    assert own.threshold == 0.85
    assert "between 0.7 and 0.8" in own.reason
    assert own.reason.endswith("the embedder's own threshold stays")
    assert recommend(bands(0.1, 0.2, 0.3, (1.0, 10), (1.0, 9)), 0.85).threshold == 0.8


def test_unlike_pairs_up_to_the_top_drop_nothing():
    found = recommend(bands(0.9, 0.9, 0.9, 0.9, 0.3), 0.42)
    assert found.threshold == 1.0
    assert "no threshold tells copies from other rows" in found.reason


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30)), min_size=5, max_size=5), st.floats(0.3, 1))
def test_the_rule_by_its_definition(shares, default):
    found = bands(*shares)
    threshold = recommend(found, default).threshold
    speaking = [band for band in found if band.pairs >= 10]
    allowed = [
        t for t in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0) if all(b.alike >= 0.5 for b in speaking if b.low >= t)
    ]
    if not speaking:
        assert threshold == default
    elif speaking[-1].alike < 0.5:
        assert threshold == max(speaking[-1].high, default)
    else:
        assert threshold == max(min(allowed), speaking[0].low)
