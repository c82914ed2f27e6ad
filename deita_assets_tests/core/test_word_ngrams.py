"""Shared n-grams against their definition, also where every hash collides."""

import tracemalloc
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from deita_assets.core.word_ngrams import NgramIndex, Shared, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("How many legs, 6 or 8?", ["how", "many", "legs", "6", "or", "8"]),
        ("don't x_y z-1", ["don", "t", "x", "y", "z", "1"]),
        ("ÄRGER Ünal", ["ärger", "ünal"]),
        ("A\u0308rger", ["ärger"]),  # composed or not, it is one word
        ("ｆｕｌｌ Ｗidth ﬁne", ["full", "width", "fine"]),
        ("北京的abc天气2024年", ["北", "京", "的", "abc", "天", "气", "2024", "年"]),
        ("ひらカタ", ["ひ", "ら", "カ", "タ"]),
        ("안녕 하세요", ["안녕", "하세요"]),
        ("𠀀𠀁 привет", ["𠀀", "𠀁", "привет"]),
        (" \n?!", []),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


def grams(texts, n):
    """n-grams of all texts, and the short texts as a whole, by definition."""
    found = set()
    for text in texts:
        split = text.split()
        found |= {tuple(split[at : at + n]) for at in range(len(split) - n + 1)}
        if 0 < len(split) < n:
            found.add(("whole", *split))
    return found


def naive(n, exclusion, row):
    own = grams(row, n)
    shared = [own & grams(texts, n) for texts in exclusion]
    best = max(range(len(exclusion)), key=lambda at: (len(shared[at]), -at), default=None)
    if best is None or not shared[best]:
        return None
    whole = [gram for gram in shared[best] if gram[0] == "whole"]
    of = [gram for gram in grams(exclusion[best], n) if gram[0] != "whole"]
    return Shared(
        best, len(shared[best]) - len(whole), len(of), max((len(gram) - 1 for gram in whole), default=0)
    )


TEXT = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=9).map(" ".join)
ROWS = st.lists(st.lists(TEXT, max_size=3), max_size=6)


@settings(max_examples=300)
@given(
    n=st.integers(2, 5), exclusion=ROWS, rows=ROWS,
    multiplier=st.sampled_from([0x9E3779B97F4A7C15, 0, 1, 1 << 63]),
)  # fmt: skip
@example(
    n=3,
    exclusion=[["a b c", "a b c d"], ["a b c d"]],
    rows=[["a b c d"], ["a b", "c d"], ["x a b c"]],
    multiplier=0,
)
def test_what_is_shared_is_what_the_definition_says(n, exclusion, rows, multiplier):
    """With a bad multiplier hashes say next to nothing: 0 keeps the last word only, 1 their sum."""
    index = NgramIndex(n, iter(exclusion), multiplier=multiplier)
    expected = {at: naive(n, exclusion, row) for at, row in enumerate(rows)}
    assert index.look_up(rows) == {at: found for at, found in expected.items() if found}


def test_grams_do_not_reach_over_unknown_words_or_instructions():
    index = NgramIndex(3, [["a b c", "d e f"]])
    assert index.look_up([["a b x c"], ["a b", "c"], ["a b c d"], ["b c d e"], ["a b c", "d e f"]]) == {
        2: Shared(0, 1, 2, 0),
        4: Shared(0, 2, 2, 0),
    }


def test_a_short_instruction_counts_as_a_whole_only():
    index = NgramIndex(13, [["Write a poem."], ["write", "Write  a POEM"]])
    assert index.look_up([["write a poem"], ["write a poem please"], ["x", "write!"], ["?!"]]) == {
        0: Shared(0, 0, 0, 3),
        2: Shared(1, 0, 0, 1),
    }


def test_an_empty_set_shares_nothing():
    for exclusion in ([], [[]], [[""], ["?"]]):
        assert NgramIndex(3, exclusion).look_up([["a b c d"], ["?"], []]) == {}


def test_a_template_that_every_row_has_costs_no_more_than_its_rows():
    """3,000 exclusion rows with one beginning: counting them one by one for each row would take 10**8 steps."""
    template = " ".join(f"w{n}" for n in range(20))
    exclusion = [[f"{template} end {n} of it"] for n in range(3_000)]
    found = NgramIndex(13, exclusion).look_up([[f"{template} end {n} or not"] for n in range(0, 3_000, 10)])
    assert {at: shared.row for at, shared in found.items()} == {at: 10 * at for at in range(300)}
    assert set(Counter(shared.shared for shared in found.values())) == {10}


def test_a_gram_takes_few_bytes():
    texts = [[" ".join(f"w{(7 * row + at) % 5_000}" for at in range(100))] for row in range(1_000)]
    tracemalloc.start()
    index = NgramIndex(13, iter(texts))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(index.look_up(texts)) == 1_000
    assert held / 88_000 < 40  # 5,000 words at some 100 bytes are in it
