"""Refusals and boilerplate: what is meant is found, and what only sounds like it is not."""

import pytest

from deita_assets.core.answer_phrases import BOILERPLATE, folded, phrase_in, refusal_in

REFUSING = [
    "I'm sorry, but I cannot help with that.",
    "I\u2019m sorry, but I can\u2019t assist with this request.",
    "  \"Sorry, I won't do that.",
    "As an AI language model, I am unable to browse.",
    "I'm sorry, but as an AI language model, I'm not able to draw.",
    "Unfortunately,\nI cannot answer",
    "I apologize for the inconvenience, but I am not able to do so.",
    "I cannot fulfill your request.",
    "I am unable to provide medical advice.",
    "很抱歉，我无法回答",
    "Es tut mir leid, aber ich kann das nicht.",
]
NOT_REFUSING = [
    "I cannot wait to see you on Sunday!",
    "I can't believe it is not butter.",
    "I'm sorry to hear that. Here is what you can do:",
    "I am sorry for my mistake; the answer is 7.",
    "Dear Sir, unfortunately I cannot attend the meeting.",
    "Unfortunately, the train was late.",
    "Sorry, the shop is closed.",
    "As an AI language model, I like to count: one, two.",
    'No: "I\'m sorry, but I cannot help" is a refusal.',
    "",
]


@pytest.mark.parametrize("answer", REFUSING)
def test_a_refusal_is_found(answer):
    assert refusal_in(folded(answer))


@pytest.mark.parametrize("answer", NOT_REFUSING)
def test_what_is_no_refusal_is_not(answer):
    assert refusal_in(folded(answer)) is None


def test_boilerplate_stands_anywhere_and_is_folded_itself():
    assert [folded(phrase) for phrase in BOILERPLATE] == list(BOILERPLATE)
    assert phrase_in(folded("Hm. AS AN AI LANGUAGE MODEL I"), BOILERPLATE) == "as an ai language model"
    for innocent in ("A bigram is a language model.", "AI models are trained", "as an air steward, I fly"):
        assert phrase_in(folded(innocent), BOILERPLATE) is None
