"""Corruptions keep what would give them away, and are the same each time."""

import re
from collections import Counter

import pytest

from deita_assets.training.corruptions import KINDS, corruptions
from deita_assets.training.graded_set import GradedText

PROSE = (
    "Bread needs time more than it needs work. Mix flour, water, salt and yeast, and let the dough stand for a night. "
    "In the morning fold it twice.  Bake it hot, with steam, for forty minutes.\n\nLet it cool before you cut it."
)
OTHER = (
    "The moon pulls the sea towards it. The far side bulges too, because the earth is pulled away from that water. "
    "So there are two tides a day. Spring tides come when sun and moon pull along one line. Ask if this is unclear."
)


def answer(name, text, grade=5, language="en"):
    return GradedText(
        name, name, None, None, "test", language, f"Question of {name}?", text, (grade, grade), grade
    )


def by_kind(judged=False):
    made = corruptions([answer("a", PROSE), answer("b", OTHER)], judged=judged)
    return {one.kind: one.response for one in made if one.original.id == "a"}


def words(text):
    return Counter(re.findall(r"\w+", text))


def test_every_kind_is_made_of_prose_and_none_is_the_original():
    made = by_kind()
    assert set(made) == set(KINDS)
    assert PROSE not in made.values()


@pytest.mark.parametrize("kind", ["word_shuffle", "sentence_shuffle"])
def test_shuffles_keep_words_white_space_and_the_final_mark(kind):
    broken = by_kind()[kind]
    assert words(broken) == words(PROSE)
    assert Counter(re.findall(r"\s+", broken)) == Counter(re.findall(r"\s+", PROSE))
    assert broken[-1] == PROSE[-1]


def test_a_sentence_shuffle_keeps_sentences_whole():
    broken = by_kind()["sentence_shuffle"]
    for sentence in (
        "Bread needs time more than it needs work.",
        "Bake it hot, with steam, for forty minutes.",
    ):
        assert sentence in broken


def test_truncations_are_openings_of_the_original():
    made = by_kind()
    assert PROSE.startswith(made["truncation"])
    assert made["truncation"][-1] not in ".!?"
    assert PROSE.startswith(made["truncation_at_sentence"])
    assert made["truncation_at_sentence"].endswith(".")
    assert 0.1 < len(made["truncation_at_sentence"]) / len(PROSE) < 0.8


def test_the_other_answer_is_an_answer_to_another_instruction():
    assert by_kind()["other_answer"] == OTHER


def test_lists_are_not_shuffled_by_sentence():
    listed = "What to pack\n- a coat\n- two maps\n- bread and cheese\n- a lamp\n- matches\n- good shoes"
    kinds = {
        one.kind
        for one in corruptions([answer("a", listed), answer("b", OTHER)], judged=False)
        if one.original.id == "a"
    }
    assert "sentence_shuffle" not in kinds
    assert "word_shuffle" in kinds


def test_refusals_that_judge_are_not_those_that_teach():
    good = [
        answer(f"{language}{i}", PROSE, language=language)
        for language in ("en", "de", "fr", "es", "pl")
        for i in range(40)
    ]
    taught, judged = (
        {one.response for one in corruptions(good, judged=judged) if one.kind == "refusal"}
        for judged in (False, True)
    )
    assert taught and judged and not taught & judged


def test_the_same_answers_give_the_same_corruptions():
    good = [answer("a", PROSE), answer("b", OTHER)]
    assert corruptions(good, judged=False) == corruptions(good, judged=False)
