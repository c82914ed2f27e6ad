"""Digit ids: derived from any tokenizer, and equal to the published ones where the vocabulary is known."""

import pytest
import transformers

from deita_assets.errors import ScorerError
from deita_assets.scorers.deita_prompt import build_prompt
from deita_assets.scorers.digit_ids import find_digit_ids
from deita_assets_tests.scorers.tiny_models import save_llama_tokenizer, save_vocabulary_of_32000

#: Some tokens of the real vocabularies with their ids, and the digit ids that the published code names.
LLAMA = {"\u2581": 29871, "\u2581the": 278, "\u2581You": 887}, [29896, 29906, 29941, 29946, 29945, 29953]
MISTRAL = {"\u2581": 28705, "\u2581the": 272, "\u2581You": 995}, [28740, 28750, 28770, 28781, 28782, 28784]
PROMPTS = [build_prompt(measure, "", "").text for measure in ("complexity", "quality")]


def tokenizer_with(folder, pieces, digit_ids):
    save_vocabulary_of_32000(folder, pieces | dict(zip("123456", digit_ids, strict=True)))
    return transformers.AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("prompt", PROMPTS, ids=["complexity", "quality"])
@pytest.mark.parametrize("known", [LLAMA, MISTRAL], ids=["LLaMA", "Mistral"])
def test_in_a_known_vocabulary_they_are_the_published_ones(tmp_path, known, prompt):
    tokenizer = tokenizer_with(tmp_path, *known)
    assert len(tokenizer) == 32_000
    assert find_digit_ids(tokenizer, prompt) == known[1]
    assert tokenizer(prompt)["input_ids"][-1] == known[0]["\u2581"], (
        "the space before the digit is its own token"
    )


@pytest.mark.parametrize(
    ("known", "name"), [(LLAMA, "LLaMA"), (MISTRAL, "Mistral")], ids=["LLaMA", "Mistral"]
)
def test_digits_elsewhere_in_a_known_vocabulary_are_refused(tmp_path, known, name):
    pieces, ids = known
    swapped = [ids[1], ids[0], *ids[2:]]
    with pytest.raises(ScorerError) as caught:
        find_digit_ids(tokenizer_with(tmp_path, pieces, swapped), PROMPTS[0])
    assert f"vocabulary is that of {name}" in caught.value.message
    assert str(ids) in caught.value.message
    assert caught.value.cure


def test_a_vocabulary_that_only_shares_a_piece_is_not_called_known(tmp_path):
    pieces, ids = LLAMA
    tokenizer = tokenizer_with(tmp_path, pieces | {"\u2581the": 300}, ids[::-1])
    assert find_digit_ids(tokenizer, PROMPTS[0]) == ids[::-1]


def test_in_any_other_vocabulary_they_are_derived(tmp_path):
    vocabulary = save_llama_tokenizer(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for prompt in PROMPTS:
        assert find_digit_ids(tokenizer, prompt) == [vocabulary[digit] for digit in "123456"]
