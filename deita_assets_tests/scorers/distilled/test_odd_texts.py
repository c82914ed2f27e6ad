"""Counting and splitting stand any text: every number is finite, and a huge text takes seconds and not hours."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_assets.scorers.distilled.counted import (
    INSTRUCTION_NAMES,
    RESPONSE_NAMES,
    count_instruction,
    count_response,
)
from deita_assets.scorers.distilled.turn_text import MOST_SENTENCES, joint_text, sentence_spans
from deita_assets.training.corruptions import corruptions
from deita_assets.training.graded_set import GradedText

ODD = [
    "", " \t\r\n\u2028", "\0", "\0\0a\0", "\r", "a.\rb.\rc.", "\ufeff", "\u200b\u200b", "\u0301\u0301", "e\u0301" * 9,
    "\u0130\u0130. \u0130st. \u1e9e\ufb03", "\u039f\u0394\u03a5\u03a3\u03a3\u0395\u03a5\u03a3. \u03a3.",
    "\u202e\u05e9\u05dc\u05d5\u05dd. \u0645\u0631\u062d\u0628\u0627\u061f \u202c",
    "\u0928\u092e\u0938\u094d\u0924\u0947\u0964 ",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea.", "\ue000\U0010ffff", "?!?!", "- \n- \n```",
    "1. 2. 3. a) b)", "\u0661. \u0662. \u00b2. \u0663) x", "First: \u3002\uff1a\n:\n:",
]  # fmt: skip
#: What a pattern that looks again from every place takes minutes or hours for.
HUGE = {
    "one word": "a" * 200_000,
    "one capitalised word": "A" + "a" * 200_000,
    "accented word": "a\u0301" * 100_000,
    "characters without marks": "\u4e2d" * 200_000,
    "apostrophes": "a'" * 100_000,
    "white space before the end": "a." + " " * 200_000 + "b",
    "white space at both ends": " " * 100_000 + "b" + " " * 100_000,
    "full stops": "." * 200_000,
    "question marks": "?" * 200_000,
    "marks and quotes": ".'\u201d)" * 50_000,
    "stars": "." + "*" * 200_000,
    "line breaks": "\n" * 200_000,
    "lines of one letter": "a\n" * 100_000,
    "enumerators": "1. " * 66_000,
    "indented enumerators": ("\t" * 400 + "1. ") * 500,
    "lines of marks": ("!" * 400 + "\n") * 500,
    "digits": "1" * 200_000,
    "brackets": "<" * 200_000,
    "sentences": "Yes, it is so. " * 10_000,
}


def answer(text):
    return GradedText("a", "a", None, None, "d", "en", "Why?", text, (5,), 5)


def count(names, values):
    assert len(values) == len(names)
    assert np.isfinite(values).all()
    return dict(zip(names, values, strict=True))


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_every_number_of_an_odd_text_is_finite(text):
    count(INSTRUCTION_NAMES, count_instruction(text))
    for turn in ((text, "So."), ("Why?", text), (text, text)):
        count(RESPONSE_NAMES, count_response(*turn))
    assert all(one.response != text for one in corruptions([answer(text)], judged=False))


@given(st.text(max_size=80), st.text(max_size=80))
def test_every_number_of_any_turn_is_finite(instruction, response):
    count(INSTRUCTION_NAMES, count_instruction(instruction))
    count(RESPONSE_NAMES, count_response(instruction, response))


@given(st.text(max_size=80))
def test_corruptions_of_any_answer_differ_from_it(text):
    assert all(one.response != text for one in corruptions([answer(text)], judged=False))


def test_a_mark_with_a_space_before_it_stays_where_it_is():
    text = "Bonjour \u00e0 tous les amis du pain, voici la recette de ma tante \u00a0!"
    (shuffled,) = (
        one.response for one in corruptions([answer(text)], judged=False) if one.kind == "word_shuffle"
    )
    assert shuffled.endswith(" \u00a0!")
    assert re.findall(r"\s+", shuffled) == re.findall(r"\s+", text)
    assert sorted(shuffled.split()) == sorted(text.split())


@pytest.mark.parametrize("kind", HUGE)
def test_a_huge_text_is_read_once(kind):
    text = HUGE[kind]
    count(INSTRUCTION_NAMES, count_instruction(text))
    count(RESPONSE_NAMES, count_response("Why is it so?", text))
    assert sum(end - start for start, end in sentence_spans(text)) <= len(text)
    assert len(joint_text("Why?", text).cuts) <= MOST_SENTENCES
    corruptions([answer(text)], judged=False)


WORDS = st.text(st.sampled_from("aBe 1_\u00e9\u4e2d\u0301,.;!\n"), max_size=40)


@given(WORDS)
def test_function_words_before_marks_are_counted_among_all_words_before_marks(text):
    text = text.replace("Be", "the").replace("aB", "of")
    found = count(RESPONSE_NAMES, count_response("Why?", text))
    ends = []
    for at, mark in enumerate(text.lower()):
        if mark in ",.;:!?":
            word = re.split(r"[\W\d_]", text.lower()[:at])[-1]
            ends += [word] if word else []
    share = sum(word in ("the", "of", "a", "e") for word in ends) / max(1, len(ends))
    assert found["function_word_ends"] == pytest.approx(share)
