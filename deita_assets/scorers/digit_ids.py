"""The token ids of the digits "1" to "6" where a prompt ends.

What belongs here: deriving them from a tokenizer, and what is known about those of published scorers. What does
not: the model that answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from deita_assets.errors import ScorerError

DIGITS = ("1", "2", "3", "4", "5", "6")


@dataclass(frozen=True)
class KnownVocabulary:
    """A vocabulary whose digit ids are written down in the published code of DEITA.

    Attributes:
        pieces: tokens and ids that no other vocabulary has together.
        digit_ids: ids of "1" to "6".
    """

    pieces: Mapping[str, int]
    digit_ids: tuple[int, ...]


#: LLaMA 1 and 2 (both published scorers are LLaMA-1 13B), and Mistral 7B, for which no scorer was published.
KNOWN: Mapping[str, KnownVocabulary] = MappingProxyType(
    {
        "LLaMA": KnownVocabulary(
            {"\u2581": 29871, "\u2581the": 278, "\u2581You": 887}, (29896, 29906, 29941, 29946, 29945, 29953)
        ),
        "Mistral": KnownVocabulary(
            {"\u2581": 28705, "\u2581the": 272, "\u2581You": 995}, (28740, 28750, 28770, 28781, 28782, 28784)
        ),
    }
)


def find_digit_ids(tokenizer: Any, prompt: str) -> list[int]:
    """Token ids of "1" to "6" where `prompt` ends, the place at which the model answers.

    Raises:
        ScorerError: when a digit there is not exactly one more token, or two digits share one; lists the
            tokens found. Also when the vocabulary is a known one and its digits stand elsewhere.
    """
    base = list(tokenizer(prompt, verbose=False)["input_ids"])
    tails = [list(tokenizer(prompt + digit, verbose=False)["input_ids"]) for digit in DIGITS]
    single = all(tail[:-1] == base for tail in tails)
    ids = [int(tail[-1]) for tail in tails]
    if single and len(set(ids)) == len(DIGITS):
        _check_known(tokenizer, ids)
        return ids
    found = {digit: _tail_tokens(tokenizer, base, tail) for digit, tail in zip(DIGITS, tails, strict=True)}
    raise ScorerError(
        f"tokenizer {type(tokenizer).__name__}: after the end of the prompt ({prompt[-16:]!r}) the digits "
        f"become {found}, expected one token each, all different, with the prompt's own tokens unchanged.",
        cure="Use a model whose tokenizer splits digits (LLaMA, Mistral, Qwen), or the heuristic scorer.",
    )


def _check_known(tokenizer: Any, ids: list[int]) -> None:
    for name, known in KNOWN.items():
        recognised = list(tokenizer.convert_tokens_to_ids(list(known.pieces))) == list(known.pieces.values())
        if recognised and ids != list(known.digit_ids):
            raise ScorerError(
                f"tokenizer {type(tokenizer).__name__}: the vocabulary is that of {name}, but the digits are "
                f"{ids}, expected {list(known.digit_ids)}.",
                cure="Download the tokenizer again: its files are damaged, or they belong to another model.",
            )


def _tail_tokens(tokenizer: Any, base: list[int], tail: list[int]) -> list[str]:
    same = next((i for i, (a, b) in enumerate(zip(base, tail, strict=False)) if a != b), len(base))
    return list(tokenizer.convert_ids_to_tokens(tail[same:]))
