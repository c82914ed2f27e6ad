import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.scorers.deita_prompt import build_prompt, template_sha256

GOLDEN = {
    "complexity": (
        b"You are a helpful assistant. Please identify the complexity score of the following user query. \n"
        b"##Query: Why?  \n##Complexity: "
    ),
    "quality": (
        b"You are a helpful assistant. Please identify the quality score of the Response corresponding to the "
        b"Question. \n #Question#:\nWhy?\n#Response#:\nBecause. \n##Quality: "
    ),
}


@pytest.mark.parametrize("measure", ["complexity", "quality"])
def test_prompts_are_the_bytes_the_scorers_were_trained_on(measure):
    assert build_prompt(measure, "Why?", "Because.").text.encode("utf-8") == GOLDEN[measure]


def test_prompt_lengths_and_hashes_hold_every_space():
    texts = {measure: build_prompt(measure, "", "").text for measure in GOLDEN}
    assert {measure: len(text) for measure, text in texts.items()} == {"complexity": 122, "quality": 150}
    digests = {measure: hashlib.sha256(text.encode()).hexdigest()[:16] for measure, text in texts.items()}
    assert digests == {"complexity": "88512e75d10e5513", "quality": "0a0e8d711d8c2f79"}


@pytest.mark.parametrize("text", ["{instruction}", "%s {0}", "\\n", "{", "\x00"])
def test_row_text_is_inserted_as_it_is(text):
    assert build_prompt("quality", text, text).text.count(text) >= 2


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=40), st.text(max_size=40))
def test_spans_point_at_the_row_texts(instruction, response):
    prompt = build_prompt("quality", instruction, response)
    assert [prompt.text[a:b] for a, b in prompt.spans] == [instruction, response]
    assert build_prompt("complexity", instruction, response) == build_prompt("complexity", instruction)


def test_the_two_templates_have_their_own_hashes():
    assert template_sha256("complexity") != template_sha256("quality")
    assert len(template_sha256("complexity")) == 64
