"""Figures against their definitions written out by hand, for a head that scores whatever a test tells it to."""

import itertools
import json
import math
from dataclasses import dataclass

import numpy as np
import pytest

from deita_assets.scorers.distilled.features import quality_names
from deita_assets.training.card import figures_table
from deita_assets.training.corruptions import Corruption
from deita_assets.training.evaluate import STRATA, as_rows, by_name, held_out_figures, label_figures
from deita_assets.training.examples import Featured
from deita_assets.training.graded_set import GradedText
from deita_assets.training.labels import JudgedPair, LabelSet, RatedText

QUALITY_COLUMN = quality_names().index("cos_instruction_response")


@dataclass
class StubHead:
    """Scores each row with one of its features."""

    column: int = 0

    def scores(self, features):
        return features[:, self.column]


@dataclass
class StubSegments:
    states: np.ndarray
    n_tokens: np.ndarray


class StubEncoder:
    """Two dimensions: the first is `table[instruction]` for complexity, the cosine of a response for quality."""

    dimension = 2

    def __init__(self, table):
        self.table, self.read = table, []

    def embed_texts(self, texts):
        self.read.append(len(texts))
        return np.array([[0.0, self.table[text]] for text in texts], np.float32).reshape(-1, 2)

    def embed_segments(self, texts, cuts):
        self.read.append(len(texts))
        found = []
        for text, (start, *more) in zip(texts, cuts, strict=True):
            cosine = self.table[text[start:]]
            states = np.zeros((2 + len(more), 2))
            states[0], states[1] = (1.0, 0.0), (cosine, math.sqrt(1 - cosine**2))
            found.append(StubSegments(states, np.array([1, 1, *(0 for _ in more)])))
        return np.zeros((len(texts), 2), np.float32), found

    def word_vectors(self, texts):
        return [(np.zeros((0, 2), np.float32), np.zeros(0, np.float32)) for _ in texts]


def words(n):
    return " ".join(["word"] * n)


def ranks(values):
    return np.array([sum(o < v for o in values) + (sum(o == v for o in values) - 1) / 2 for v in values])


def rho(first, second):
    return float(np.corrcoef(ranks(first), ranks(second))[0, 1])


def rho_of_residuals(first, second, given):
    """What is left of two rankings once a straight line through a third is taken off both, correlated."""
    design = np.stack([np.ones(len(given)), ranks(given)], axis=1)
    left = [
        values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
        for values in (ranks(first), ranks(second))
    ]
    return float(np.corrcoef(*left)[0, 1])


def share(pairs):
    """Share of (better, worse) numbers in order; ties count half."""
    return float(np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs]))


#: seed, step, grade, score, words: three chains and three lone seeds; two equal scores and two equal lengths in chains.
COMPLEXITY = [
    ("a", 0, 1, 1.5, 4), ("a", 1, 2, 1.5, 3), ("a", 2, 4, 3.0, 9),
    ("b", 0, 3, 2.0, 8), ("b", 1, 4, 1.0, 8), ("b", 2, 4, 5.0, 2),
    ("c", 0, 5, 4.0, 5), ("c", 1, 6, 4.5, 4),
    ("d", 0, 2, 2.5, 7), ("e", 0, 4, 2.2, 6), ("f", 0, 6, 5.5, 1),
]  # fmt: skip
#: seed, grade, score, words: per pair the better one is over a fifth longer, alike, or over a fifth shorter.
QUALITY = [
    ("a", 5, 4.0, 60), ("a", 3, 3.0, 20), ("a", 2, 3.5, 58),
    ("b", 6, 2.0, 10), ("b", 4, 2.0, 30),
    ("c", 4, 1.0, 12), ("c", 1, 5.0, 11), ("c", 4, 2.5, 40),
    ("d", 2, 1.5, 25), ("d", 1, 0.5, 5),
]  # fmt: skip


def complexity_set(rows=COMPLEXITY):
    texts = [
        GradedText(f"{seed}.{step}", seed, f"{seed}.{step - 1}" if step else None, None, "d", "en",
                   words(n), None, (grade,), grade)
        for seed, step, grade, _, n in rows
    ]  # fmt: skip
    return Featured("complexity", texts, [], np.array([[row[3]] for row in rows]))


def quality_set(rows=QUALITY, ladder=()):
    texts = [
        GradedText(f"{seed}.{at}", seed, None, None, "d", "en", f"about {seed}", words(n), (grade,), grade)
        for at, (seed, grade, _, n) in enumerate(rows)
    ]
    made = [Corruption(kind, texts[at], words(n)) for kind, at, _, n in ladder]
    scores = [row[2] for row in rows] + [score for _, _, score, _ in ladder]
    return Featured("quality", texts, made, np.array(scores)[:, np.newaxis])


def figures_of(set_):
    return by_name(held_out_figures(StubHead(), set_))


def step_pairs():
    """(harder, easier) of two texts of one seed."""
    return [
        (one, other)
        for one, other in itertools.permutations(COMPLEXITY, 2)
        if one[0] == other[0] and one[2] > other[2]
    ]


def answer_pairs():
    """(better, worse) of two answers to one instruction."""
    return [
        (one, other)
        for one, other in itertools.permutations(QUALITY, 2)
        if one[0] == other[0] and one[1] > other[1]
    ]


def stratum(better, worse):
    ratio = (better + 1) / (worse + 1)
    return "longer" if ratio > 1.2 else "shorter" if ratio < 1 / 1.2 else "alike"


def test_complexity_correlates_seeds_alone():
    found = figures_of(complexity_set())
    seeds = [row for row in COMPLEXITY if row[1] == 0]
    grade, score, length = ([row[at] for row in seeds] for at in (2, 3, 4))
    figure = found["held-out seeds", "rho with grade"]
    assert figure.scorer.value == pytest.approx(rho(score, grade))
    assert figure.longest.value == pytest.approx(rho(length, grade))
    assert (figure.random, figure.scorer.n, figure.longest.n) == (0.0, 6, 6)
    partial = found["held-out seeds", "partial rho with grade, length taken out"]
    assert partial.scorer.value == pytest.approx(rho_of_residuals(score, grade, length))
    assert (partial.longest.value, partial.random) == (0.0, 0.0)


def test_complexity_orders_the_texts_of_a_chain_and_those_that_are_not_longer():
    found = figures_of(complexity_set())
    pairs = step_pairs()
    figure = found["held-out chains", "order of steps"]
    assert figure.scorer.n == len(pairs) == 6
    assert figure.scorer.value == pytest.approx(share([(a[3], b[3]) for a, b in pairs]))
    assert figure.longest.value == pytest.approx(share([(a[4], b[4]) for a, b in pairs]))
    assert figure.random == 0.5
    short = [(a, b) for a, b in pairs if a[4] <= b[4]]
    figure = found["held-out chains", "order where the harder text is not longer"]
    assert figure.scorer.n == len(short) == 4
    assert figure.scorer.value == pytest.approx(share([(a[3], b[3]) for a, b in short]))
    assert figure.longest.value == pytest.approx(share([(a[4], b[4]) for a, b in short]))
    assert figure.longest.value < 0.5


def test_a_set_without_chains_has_the_figures_of_its_seeds():
    found = figures_of(complexity_set([row for row in COMPLEXITY if row[1] == 0]))
    assert {name for name, _ in found} == {"held-out seeds"}


def test_quality_correlates_all_responses():
    found = figures_of(quality_set())
    grade, score, length = ([row[at] for row in QUALITY] for at in (1, 2, 3))
    figure = found["held-out responses", "rho with grade"]
    assert figure.scorer.value == pytest.approx(rho(score, grade))
    assert figure.longest.value == pytest.approx(rho(length, grade))
    assert figure.scorer.n == len(QUALITY)
    partial = found["held-out responses", "partial rho with grade, length taken out"]
    assert partial.scorer.value == pytest.approx(rho_of_residuals(score, grade, length))


def test_quality_orders_the_answers_to_one_instruction():
    figure = figures_of(quality_set())["held-out responses", "order within an instruction"]
    pairs = answer_pairs()
    assert figure.scorer.n == len(pairs) == 7
    assert figure.scorer.value == pytest.approx(share([(a[2], b[2]) for a, b in pairs]))
    assert figure.longest.value == pytest.approx(share([(a[3], b[3]) for a, b in pairs]))


def test_quality_by_strata_of_length_and_their_mean():
    found = figures_of(quality_set())
    means, lengths = [], []
    for name in STRATA:
        inside = [(a, b) for a, b in answer_pairs() if stratum(a[3], b[3]) == name]
        figure = found["held-out responses", f"accuracy, better is {name}"]
        assert figure.scorer.n == len(inside) > 0
        assert figure.scorer.value == pytest.approx(share([(a[2], b[2]) for a, b in inside]))
        means.append(figure.scorer.value)
        lengths.append(figure.longest.value)
    assert lengths[0] == 1.0 and lengths[2] == 0.0
    figure = found["held-out responses", "mean of the three"]
    assert figure.scorer.value == pytest.approx(sum(means) / 3)
    assert figure.scorer.value != pytest.approx(
        found["held-out responses", "order within an instruction"].scorer.value
    )
    assert figure.longest.value == pytest.approx(sum(lengths) / 3)


def test_without_all_three_strata_there_is_no_mean_of_them():
    found = figures_of(quality_set([row for row in QUALITY if row[0] in "cd"]))
    assert ("held-out responses", "accuracy, better is longer") in found
    assert ("held-out responses", "accuracy, better is shorter") not in found
    assert ("held-out responses", "mean of the three") not in found


@pytest.mark.parametrize(
    ("better", "worse", "expected"),
    [
        (11, 9, "alike"),
        (12, 9, "longer"),
        (9, 11, "alike"),
        (9, 12, "shorter"),
        (0, 0, "alike"),
        (1, 0, "longer"),
    ],
)
def test_a_pair_is_alike_up_to_a_fifth(better, worse, expected):
    """Of words and one more on both sides, so that an empty text has a ratio: 12 to 10 is a fifth and still alike."""
    found = figures_of(quality_set([("a", 5, 2.0, better), ("a", 1, 1.0, worse)]))
    strata = {figure for _, figure in found if figure.startswith("accuracy")}
    assert strata == {f"accuracy, better is {expected}"}


def test_the_ladder_is_judged_kind_by_kind_and_ties_count_half():
    ladder = [
        ("word_shuffle", 0, 1.0, 60), ("word_shuffle", 3, 2.0, 10), ("word_shuffle", 5, 4.0, 12),
        ("refusal", 0, 0.5, 90), ("refusal", 5, 0.9, 3),
    ]  # fmt: skip
    found = figures_of(quality_set(ladder=ladder))
    shuffled = found["held-out ladder", "original above its word shuffle"]
    assert shuffled.scorer.value == pytest.approx((1 + 0.5 + 0) / 3)
    assert (shuffled.longest.value, shuffled.scorer.n) == (0.5, 3)
    refused = found["held-out ladder", "original above its refusal"]
    assert (refused.scorer.value, refused.longest.value, refused.scorer.n) == (1.0, 0.5, 2)
    assert len([name for name, _ in found if name == "held-out ladder"]) == 2


def test_an_interval_holds_its_value_and_is_a_point_where_every_group_agrees():
    figures = held_out_figures(StubHead(), quality_set())
    for figure in figures:
        for found in (figure.scorer, figure.longest):
            assert found.low <= found.value + 1e-12 and found.value <= found.high + 1e-12
    longer = by_name(figures)["held-out responses", "accuracy, better is longer"].longest
    assert (longer.low, longer.value, longer.high) == (1.0, 1.0, 1.0)
    wide = by_name(figures)["held-out responses", "order within an instruction"].scorer
    assert wide.low < wide.value < wide.high


def rated_set(table, ratings, groups, name="steps"):
    return LabelSet(
        name,
        tuple(
            RatedText(text, "", rating, group)
            for text, rating, group in zip(table, ratings, groups, strict=True)
        ),
        (),
    )


def test_rated_instructions_of_other_people():
    table = {words(n): score for n, score in ((3, 0.1), (9, 0.9), (5, 0.5), (7, 0.5), (2, 0.8), (4, 0.2))}
    ratings, groups = [1, 4, 2, 3, 5, 5], ["g", "g", "h", "h", "i", "i"]
    sets = [rated_set(table, ratings, groups)]
    found = by_name(label_figures(StubHead(-1), "complexity", sets, StubEncoder(table)))
    figure = found["steps", "rho with rating"]
    scores, lengths = list(table.values()), [3, 9, 5, 7, 2, 4]
    assert figure.scorer.value == pytest.approx(rho(scores, ratings))
    assert figure.longest.value == pytest.approx(rho(lengths, ratings))
    order = found["steps", "order within a group"]
    assert order.scorer.value == pytest.approx((1 + 0.5) / 2)  # the third group has equal ratings, so no pair
    assert (order.longest.value, order.scorer.n) == (1.0, 2)


def test_rated_texts_that_are_all_their_own_group_have_no_order_within():
    table = {words(n): n / 10 for n in range(1, 6)}
    sets = [rated_set(table, [5, 4, 3, 2, 1], "abcde")]
    found = by_name(label_figures(StubHead(-1), "complexity", sets, StubEncoder(table)))
    assert {figure for _, figure in found} == {"rho with rating"}
    assert found["steps", "rho with rating"].scorer.value == pytest.approx(-1.0)


def test_judged_pairs_of_other_people():
    table = {words(30): 0.9, words(10): 0.1, words(11): 0.1, words(12): 0.6, words(20): 0.3, words(40): 0.8}
    text = [words(n) for n in (30, 10, 11, 12, 20, 40)]
    chosen = [(0, 1), (1, 2), (2, 3), (4, 5), (1, 0), (0, 4)]
    pairs = tuple(JudgedPair(f"ask {at % 2}", text[a], text[b]) for at, (a, b) in enumerate(chosen))
    found = by_name(
        label_figures(StubHead(QUALITY_COLUMN), "quality", [LabelSet("arena", (), pairs)], StubEncoder(table))
    )
    score, length = list(table.values()), [30, 10, 11, 12, 20, 40]
    figure = found["arena", "accuracy on pairs"]
    assert figure.scorer.value == pytest.approx(share([(score[a], score[b]) for a, b in chosen]))
    assert figure.longest.value == pytest.approx(share([(length[a], length[b]) for a, b in chosen]))
    by_hand = []
    for name in STRATA:
        inside = [(a, b) for a, b in chosen if stratum(length[a], length[b]) == name]
        by_hand.append(share([(score[a], score[b]) for a, b in inside]))
        assert found["arena", f"accuracy, better is {name}"].scorer.value == pytest.approx(by_hand[-1])
    assert found["arena", "mean of the three"].scorer.value == pytest.approx(sum(by_hand) / 3)


def test_a_set_of_which_nothing_is_left_has_no_figure_and_stops_no_other():
    table = {words(n): n / 10 for n in range(1, 6)}
    sets = [LabelSet("known", (), (), n_overlapping=7), rated_set(table, [1, 2, 3, 4, 5], "abcde")]
    found = label_figures(StubHead(-1), "complexity", sets, StubEncoder(table))
    assert {figure.set for figure in found} == {"steps"}


@pytest.mark.parametrize("measure", ["complexity", "quality"])
def test_a_large_set_is_read_some_at_a_time_and_keeps_its_order(measure):
    n = 600
    rng = np.random.default_rng(0)
    table = {f"{words(at % 9 + 1)} {at}": float(score) for at, score in enumerate(rng.random(n))}
    rows = tuple(
        RatedText(text if measure == "complexity" else "ask", text, score, str(at))
        for at, (text, score) in enumerate(table.items())
    )
    encoder = StubEncoder(table)
    head = StubHead(-1 if measure == "complexity" else QUALITY_COLUMN)
    (figure,) = label_figures(head, measure, [LabelSet("big", rows, ())], encoder)
    assert figure.scorer.value == pytest.approx(1.0)
    assert sum(encoder.read) == n and max(encoder.read) < n / 2


def test_rows_are_json_with_null_for_what_is_not_a_number_and_the_card_shows_a_dash():
    flat = [(seed, step, 3, score, n) for seed, step, _, score, n in COMPLEXITY if step == 0]
    rows = as_rows(held_out_figures(StubHead(), complexity_set(flat)))
    written = json.dumps(rows, allow_nan=False)
    assert json.loads(written)[0]["scorer"] == [None, None, None]
    assert all(set(row) == {"set", "figure", "n", "scorer", "longest", "random"} for row in rows)
    table = figures_table(rows)
    assert "nan" not in table and "None" not in table and "\u2013" in table


def test_rows_and_the_card_carry_the_figures():
    figures = held_out_figures(StubHead(), quality_set())
    rows = as_rows(figures)
    assert [(row["set"], row["figure"], row["n"]) for row in rows] == [
        (f.set, f.figure, f.scorer.n) for f in figures
    ]
    for row, figure in zip(rows, figures, strict=True):
        assert row["scorer"] == pytest.approx(
            [figure.scorer.value, figure.scorer.low, figure.scorer.high], abs=5e-5
        )
        assert row["longest"][0] == pytest.approx(figure.longest.value, abs=5e-5)
        assert row["random"] in (0.0, 0.5)
    lines = figures_table(rows).splitlines()
    assert "longest" in lines[0] and "random" in lines[0]
    assert len(lines) == 2 + len(rows)
