"""One text of two parts: what is joined can be told apart again, and sentences cover what is visible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_assets.core.conversation import Conversation, Message
from deita_assets.embedders.text import conversation_text
from deita_assets.scorers.distilled.turn_text import MOST_SENTENCES, joint_text, sentence_spans, sentences

TEXT = st.text(st.sampled_from('ab .!?\n1\u3002\u4e2d)\t"Z'), max_size=60)


@given(TEXT)
def test_sentences_are_in_order_disjoint_and_cover_every_visible_character(text):
    spans = list(sentence_spans(text))
    assert all(start < end for start, end in spans)
    assert all(first[1] <= second[0] for first, second in zip(spans, spans[1:], strict=False))
    covered = {at for start, end in spans for at in range(start, end)}
    assert all(at in covered for at, character in enumerate(text) if not character.isspace())


@given(TEXT, TEXT)
def test_the_first_cut_is_where_the_response_starts_and_cuts_rise(instruction, response):
    joint = joint_text(instruction, response)
    assert joint.text[joint.cuts[0] :] == response
    assert joint.text[: joint.cuts[0]].rstrip("\n") == instruction.rstrip("\n")
    assert list(joint.cuts) == sorted(set(joint.cuts))
    assert len(joint.cuts) <= MOST_SENTENCES


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_the_joint_text_is_what_the_embedder_reads_of_one_question_and_its_answer(instruction, response):
    conversation = Conversation((Message("user", instruction), Message("assistant", response)))
    assert conversation_text(conversation) == joint_text(instruction, response).text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One. ", "Two! ", "Three?"]),
        ("Dr. Who is in. He waits.", ["Dr. Who is in. ", "He waits."]),
        ("1. Mix. 2. Bake.", ["1. Mix. ", "2. Bake."]),
        ("- one\n- two\n\nEnd.", ["- one\n", "- two\n\n", "End."]),
        (
            "\u4eca\u5929\u5f88\u597d\u3002\u660e\u5929\u4e5f\u662f\u3002",
            ["\u4eca\u5929\u5f88\u597d\u3002", "\u660e\u5929\u4e5f\u662f\u3002"],
        ),
        ("It costs 3.50 in all.", ["It costs 3.50 in all."]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences_of_everyday_texts(text, expected):
    assert sentences(text) == expected


def test_what_follows_the_last_cut_belongs_to_the_last_sentence():
    response = "Yes. " * 200
    joint = joint_text("Really?", response)
    assert len(joint.cuts) == MOST_SENTENCES
    assert joint.text[joint.cuts[-1] :].count("Yes.") == 200 - MOST_SENTENCES + 1
