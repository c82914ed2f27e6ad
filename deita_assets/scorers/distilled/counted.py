"""Counted features of a turn: what a text shows without being understood.

What belongs here: one named number per property, in the order of the name tuples. What does not: vectors (`features`),
word tables and counting itself (`heuristic_cues`, `heuristic_text`).
"""

from __future__ import annotations

import math
import re
from itertools import pairwise

from deita_assets.scorers import heuristic_text
from deita_assets.scorers.distilled import cues
from deita_assets.scorers.distilled.turn_text import sentences
from deita_assets.scorers.heuristic import complexity_latent, form_latent
from deita_assets.scorers.heuristic_text import Text, read_text

#: Raise it whenever the same turn would be counted otherwise.
COUNTED_VERSION = 1

#: How a text is laid out (questions, lists, numbers, pasted parts, sentences) is not among them: the graded set filled
#: its length bins by such means, so there they follow the grade, and nowhere else.
INSTRUCTION_NAMES = (
    "heuristic_complexity",
    "log_words",
    "depth_cues",
    "constraint_cues",
    "clause_cues_per_word",
    "long_words_per_root",
    "mean_letters",
    "distinct_share",
    "code_signs",
    "not_ascii",
)

#: What the heuristic reads of an answer's form, and faults. Tastes (lists, numbers, long sentences) are not among them
#: for the same reason: those of one group of writers are not those of the next.
RESPONSE_NAMES = (
    "heuristic_form",
    "topic_share",
    "echo_share",
    "repeated_share",
    "refusal",
    "cut",
    "open_end",
    "hedges_per_sentence",
    "fillers_per_sentence",
    "opens_dependent",
    "order_faults",
    "colon_faults",
    "closing_before_end",
    "lower_case_openings",
    "inner_openings",
    "function_word_pairs",
    "function_word_ends",
    "ends_in_function_word",
    "script_differs",
)

_CODE = re.compile(r"[{}\[\]<>=;_\\|^]|\(\)|\$\$")
_CAPITAL = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")
_OPENING = re.compile(r"[\s\"'\u201c(*_#>-]*(.)")
_ORDINALS = re.compile(r"(?m)^\W*(?:step |schritt |paso |\u00e9tape )?(\d{1,2})[.):]")
_DEPENDENT = frozenset(cues.DEPENDENT_OPENINGS.split())
_FUNCTION_WORDS = frozenset(cues.FUNCTION_WORDS.split())
_PLACE = {word: place for place, line in enumerate(cues.PLACED_OPENINGS) for word in line.split()}
_CLOSING = frozenset(cues.CLOSING_OPENINGS.split())
_FINAL_MARKS = frozenset(".!?\u2026\u3002\uff01\uff1f\u061f\u0964)\"'\u201d\u300d`}>;|")
#: From the start of a word only: tried from every letter, a word of 80,000 letters takes two minutes.
_CLAUSE_END = re.compile(r"(?<![^\W\d_])([^\W\d_]+)[,.;:!?]")
_HEDGE, _FILLER = (re.compile("|".join(map(re.escape, table))) for table in (cues.HEDGES, cues.FILLERS))


def count_instruction(instruction: str) -> list[float]:
    """The numbers of `INSTRUCTION_NAMES` for one instruction."""
    text = read_text(instruction)
    depth, constraint, clause = heuristic_text.count_cues(text)
    words = max(1.0, text.n_words)
    return [
        complexity_latent(instruction),
        math.log1p(text.n_words),
        math.log1p(depth),
        math.log1p(constraint),
        clause / words,
        heuristic_text.distinct_long_words(text, 9) / math.sqrt(words),
        _mean_letters(text),
        _distinct_share(text),
        math.log1p(len(_CODE.findall(instruction))),
        _not_ascii(instruction),
    ]


def count_response(instruction: str, response: str) -> list[float]:
    """The numbers of `RESPONSE_NAMES` for one turn."""
    asked, answer = read_text(instruction), read_text(response)
    parts = sentences(response)
    n_parts = max(1, len(parts))
    return [
        form_latent(asked, answer),
        _topic_share(asked, answer),
        _echo_share(asked, answer),
        heuristic_text.repeated_share(answer),
        float(heuristic_text.opens_with_refusal(answer)),
        float(heuristic_text.looks_cut(answer)),
        _open_end(parts),
        len(_HEDGE.findall(answer.lower)) / n_parts,
        len(_FILLER.findall(answer.lower)) / n_parts,
        float(bool(parts) and _first_word(parts[0]) in _DEPENDENT),
        _order_faults(parts),
        _colon_faults(parts),
        _closing_before_end(parts),
        _lower_case_openings(parts),
        _inner_openings(response) / n_parts,
        _function_word_pairs(answer),
        _function_word_ends(answer),
        float(bool(answer.tokens) and answer.tokens[-1] in _FUNCTION_WORDS),
        abs(_not_ascii(instruction) - _not_ascii(response)),
    ]


def _mean_letters(text: Text) -> float:
    return sum(map(len, text.tokens)) / max(1, len(text.tokens))


def _distinct_share(text: Text) -> float:
    """Different words per root of their number (Guiraud), so that long texts are not punished for length."""
    return len(set(text.tokens)) / math.sqrt(max(1, len(text.tokens)))


def _not_ascii(text: str) -> float:
    """Share of the letters that English does not have."""
    letters = [character for character in text if character.isalpha()]
    return sum(not character.isascii() for character in letters) / max(1, len(letters))


def _topic_share(asked: Text, answer: Text) -> float:
    topics = heuristic_text.topic_keys(asked)
    return len(topics & heuristic_text.topic_keys(answer)) / len(topics) if topics else 0.0


def _echo_share(asked: Text, answer: Text) -> float:
    """Share of the answer's word triples that stand in the question."""
    ours = set(zip(answer.tokens, answer.tokens[1:], answer.tokens[2:], strict=False))
    theirs = set(zip(asked.tokens, asked.tokens[1:], asked.tokens[2:], strict=False))
    return len(ours & theirs) / max(1, len(ours))


def _first_word(sentence: str) -> str:
    words = read_text(sentence[:60]).tokens
    return words[0] if words else ""


def _order_faults(parts: list[str]) -> float:
    """Share of neighbours in the wrong order among numbered entries and sentences that open with `first`, `finally`."""
    numbers = [int(found.group(1)) for part in parts if (found := _ORDINALS.match(part))]
    places = [_PLACE[word] for part in parts if (word := _first_word(part)) in _PLACE]
    steps = [*pairwise(numbers), *pairwise(places)]
    return sum(later < earlier for earlier, later in steps) / max(1, len(steps))


def _lower_case_openings(parts: list[str]) -> float:
    """Share of the sentences that open with a lower-case letter."""
    opened: list[str] = [found.group(1) for part in parts if (found := _OPENING.match(part))]
    return sum(letter.islower() for letter in opened) / max(1, len(opened))


def _function_word_pairs(text: Text) -> float:
    """Share of the word pairs in which a function word follows another: rare in prose unless words are shuffled."""
    pairs = list(pairwise(text.tokens))
    both = sum(first in _FUNCTION_WORDS and second in _FUNCTION_WORDS for first, second in pairs)
    return both / max(1, len(pairs))


def _function_word_ends(text: Text) -> float:
    """Share of the words before a mark that are function words: nearly none in prose, many in shuffled words."""
    ends = _CLAUSE_END.findall(text.lower)
    return sum(word in _FUNCTION_WORDS for word in ends) / max(1, len(ends))


def _colon_faults(parts: list[str]) -> float:
    """Share of the lines that promise something (`:`) and are the last one, or stand before another such line."""
    promising = [part.rstrip().endswith((":", "\uff1a")) for part in parts]
    faults = sum(here and after for here, after in pairwise([*promising, True]))
    return faults / max(1, sum(promising))


def _closing_before_end(parts: list[str]) -> float:
    """Share of the sentences that close an answer (`In conclusion`) and have two or more after them."""
    closing = [at for at, part in enumerate(parts) if _first_word(part) in _CLOSING]
    return sum(at < len(parts) - 2 for at in closing) / max(1, len(closing))


def _inner_openings(response: str) -> int:
    """Words that open sentences (`The`, `If`) and stand capitalised inside one: a trace of shuffled words."""
    inside = (word.lower() for word in _CAPITAL.findall(response))
    return sum(word in _FUNCTION_WORDS or word in _DEPENDENT for word in inside)


def _open_end(parts: list[str]) -> float:
    """1 where prose stops without a mark: some sentence ends with one and the last, of four words or more, does not."""
    if len(parts) < 2 or len(parts[-1].split()) < 4:
        return 0.0
    ended = [part.rstrip()[-1:] in _FINAL_MARKS for part in parts]
    return float(any(ended[:-1]) and not ended[-1])
