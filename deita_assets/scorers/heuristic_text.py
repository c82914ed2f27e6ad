"""What the heuristic scorer sees in a text: words, cues and marks, in one linear pass each.

What belongs here: counting. What does not: weights, scores, statuses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deita_assets.scorers import heuristic_cues as cues

#: Scripts without spaces between words; every character is a token of its own.
_HAN_KANA = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_SOUTH_EAST = "\u0e01-\u0e4e\u0e81-\u0ece\u1000-\u109f\u1780-\u17d3"
#: Marks that stand inside words of spaced scripts (accents, vowel signs) though Python calls them no letters.
_MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"
_UNSPACED = f"{_HAN_KANA}{_SOUTH_EAST}"
_LETTERS = f"[^\\W_{_UNSPACED}]+"
_TOKEN = re.compile(f"[{_UNSPACED}]|{_LETTERS}(?:['\u2019{_MARKS}]+{_LETTERS})*[{_MARKS}]*")
_HAN_KANA_CHAR = re.compile(f"[{_HAN_KANA}]")
_SOUTH_EAST_CHAR = re.compile(f"[{_SOUTH_EAST}]")
#: Words per character: a Chinese or Japanese word has about 1.7 characters, a Thai one about 4.
HAN_KANA_WORDS = 0.6
SOUTH_EAST_WORDS = 0.25

_LIST_LINE = re.compile(
    r"^[ \t]*(?:[-*+\u2022][ \t]+|\(?\d{1,3}[.)][ \t]+|\d{1,3}\u3001|[a-zA-Z][.)][ \t]+)\S", re.MULTILINE
)
_HEADING = re.compile(r"^[ \t]*#{1,6} \S", re.MULTILINE)
_NUMBER = re.compile(r"\d+")
_CODE_MARK = re.compile(r"```|=>|==|\$\$|</?[a-z]+>|\\(?:frac|sum|int)|[{};][ \t]*$", re.MULTILINE)
_CODE_LINE = re.compile(r"^[ \t]*(?:def|class|return|import|#include) ", re.MULTILINE)
_CLAUSE_MARK = re.compile(r"[,;:.!?\uff0c\uff1b\uff1a\u3001\u3002\uff1f\uff01\u060c]")
_SENTENCE_MARK = frozenset(
    ".!?\u2026\u3002\uff01\uff1f\u061f\u0964\"'\u201d\u2019)]}>\uff09\u3011\u300b\u300d\u300f`*|$;:"
)

#: Longest prefix of a word that decides whether two words share a topic (`optimise`, `optimal` -> `optim`).
_STEM = 5
#: A response is read up to here for a refusal: it opens the answer or it is none.
_REFUSAL_REACH = 160


def _table(words: Mapping[str, str]) -> frozenset[str]:
    return frozenset(word for line in words.values() for word in line.split())


def _pattern(phrases: Iterable[str]) -> re.Pattern[str]:
    return re.compile(
        "|".join(re.escape(phrase) for phrase in sorted(set(phrases), key=lambda p: (-len(p), p)))
    )


_DEPTH, _CONSTRAINT = _table(cues.DEPTH_WORDS), _table(cues.CONSTRAINT_WORDS)
_CLAUSE = _table(cues.CLAUSE_WORDS)
_TRANSFER, _STOP = frozenset(cues.TRANSFER_WORDS.split()), frozenset(cues.STOP_WORDS.split())
_DEPTH_PHRASE = _pattern(cues.DEPTH_PHRASES.split())
_CONSTRAINT_PHRASE = _pattern(cues.CONSTRAINT_PHRASES.split())
_CLAUSE_PHRASE = _pattern(cues.CLAUSE_PHRASES.split())
_TRANSFER_PHRASE = _pattern(cues.TRANSFER_PHRASES.split())
_REFUSAL = _pattern(cues.REFUSAL_PHRASES)


@dataclass(frozen=True)
class Text:
    """One text, read once.

    Attributes:
        raw: the text itself.
        lower: its lower-case form.
        tokens: words in lower case; characters one by one in scripts without spaces.
        n_words: number of words; characters of unspaced scripts count as a share of a word.
    """

    raw: str
    lower: str
    tokens: list[str]
    n_words: float


def read_text(raw: str) -> Text:
    """Splits a text into lower-case words; any string is fine, time is linear in its length."""
    lower = raw.lower()
    tokens = _TOKEN.findall(lower)
    n_words = float(len(tokens))
    if not lower.isascii():
        n_words -= (1 - HAN_KANA_WORDS) * len(_HAN_KANA_CHAR.findall(lower))
        n_words -= (1 - SOUTH_EAST_WORDS) * len(_SOUTH_EAST_CHAR.findall(lower))
    return Text(raw, lower, tokens, n_words)


def count_cues(text: Text) -> tuple[int, int, int]:
    """How often a text asks for depth, sets constraints and joins clauses."""
    depth = constraint = clause = 0
    for word in text.tokens:
        depth += word in _DEPTH
        constraint += word in _CONSTRAINT
        clause += word in _CLAUSE
    clause += len(_CLAUSE_MARK.findall(text.raw))
    if not text.lower.isascii():
        depth += len(_DEPTH_PHRASE.findall(text.lower))
        constraint += len(_CONSTRAINT_PHRASE.findall(text.lower))
        clause += len(_CLAUSE_PHRASE.findall(text.lower))
    return depth, constraint, clause


def count_structure(text: Text) -> int:
    """List lines, headings, and code or formula marks of a text, together."""
    marks = len(_LIST_LINE.findall(text.raw)) + len(_CODE_MARK.findall(text.raw))
    if "#" in text.raw:
        marks += len(_HEADING.findall(text.raw))
    return marks + len(_CODE_LINE.findall(text.raw))


def count_numbers(text: Text) -> int:
    """Numbers written in digits."""
    return len(_NUMBER.findall(text.raw))


def distinct_long_words(text: Text, letters: int) -> float:
    """Different words of `letters` letters or more; in unspaced scripts a quarter of the characters."""
    distinct = set(text.tokens)
    long_words = sum(1 for word in distinct if len(word) >= letters)
    if text.lower.isascii():
        return float(long_words)
    return long_words + 0.25 * sum(1 for word in distinct if len(word) == 1 and ord(word) >= 0x0E01)


def repeated_share(text: Text) -> float:
    """Share of word triples that stood in the text before, in [0, 1]; 0 for texts under 12 words.

    This stands in for a compression ratio, whose value depends on the compressor library's version.
    """
    tokens = text.tokens
    total = len(tokens) - 2
    if total < 10:
        return 0.0
    return 1.0 - len(set(zip(tokens, tokens[1:], tokens[2:], strict=False))) / total


def topic_keys(text: Text) -> set[str]:
    """What a text is about: stems of its longer words, character pairs in unspaced scripts."""
    keys = {word[:_STEM] for word in text.tokens if len(word) >= 4 and word not in _STOP}
    if not text.lower.isascii():
        keys |= {word[:2] for word in text.tokens if 2 <= len(word) < 4 and not word.isascii()}
        keys |= {
            first + second
            for first, second in zip(text.tokens, text.tokens[1:], strict=False)
            if len(first) == 1 == len(second) and ord(first) >= 0x0E01 and ord(second) >= 0x0E01
        }
    return keys


def asks_for_transfer(text: Text) -> bool:
    """Whether the right answer may share no word with this instruction, such as a translation."""
    if any(word in _TRANSFER for word in text.tokens):
        return True
    return not text.lower.isascii() and _TRANSFER_PHRASE.search(text.lower) is not None


def opens_with_refusal(text: Text) -> bool:
    """Whether a response declines within its first characters."""
    return _REFUSAL.search(text.lower[:_REFUSAL_REACH].replace("\u2019", "'")) is not None


def looks_cut(text: Text) -> bool:
    """Whether a response stops inside a sentence or inside a code block.

    Short last lines and list entries are let pass: labels, titles, verses and lists often end without a mark.
    """
    if text.raw.count("```") % 2:
        return True
    last_line = text.raw.rstrip().rpartition("\n")[2]
    if not last_line or last_line[-1] in _SENTENCE_MARK or _LIST_LINE.match(last_line):
        return False
    return len(_TOKEN.findall(last_line.lower())) >= 8
