"""What a distilled scorer reads of a turn: one text of both parts, and where its sentences start.

What belongs here: joining and splitting. What does not: tokens, vectors, features.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: Raise it whenever the same turn would be joined or split otherwise.
TEXT_VERSION = 1
#: Between instruction and response, as the embedder joins the messages of a conversation: for a conversation of
#: one turn the joint text is the text that it embeds, so that one forward pass serves both.
SEPARATOR = "\n\n"
#: Sentences that are told apart; what follows counts with the last one. A talk of 65,000 characters has 700.
MOST_SENTENCES = 64

#: A sentence ends at a mark and a space, at a mark of scripts without spaces, or with its line.
_SENTENCE_END = re.compile(
    r"[.!?\u2026\u061f\u0964][\"'\u201d\u2019)\]*_]*\s+|[\u3002\uff01\uff1f][\u300d\u300f\u201d]?\s*|\n\s*"
)
#: "1. ", "a) ": a mark that ends no sentence.
_ENUMERATOR = re.compile(
    r"^[ \t]*(?:\d{1,3}|[A-Za-z]|[A-Z][a-z]|[Mm]rs?|[Dd]r|[Ee]\.g|[Ii]\.e|etc|vs|[Nn]o)[.)]\s+$"
)


@dataclass(frozen=True)
class JointText:
    """Instruction and response in one text.

    Attributes:
        text: what the encoder reads.
        cuts: the characters at which the response's sentences start; what lies before is the instruction.
    """

    text: str
    cuts: tuple[int, ...]


def joint_text(instruction: str, response: str) -> JointText:
    """The text of one turn, cut into the instruction (segment 0) and the response's sentences (1, 2, ...)."""
    start = len(instruction) + len(SEPARATOR)
    cuts = [start + begin for begin, _ in sentence_spans(response)] or [start]
    return JointText(instruction + SEPARATOR + response, (start, *cuts[1:MOST_SENTENCES]))


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Half-open character ranges of the sentences of a text, in order; together they cover its visible text.

    Lines count as sentences, so list entries and lines of code or verse do too.
    """
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if "\n" not in match.group() and _ENUMERATOR.search(text[start : match.end()]):
            continue
        if text[start : match.end()].strip():
            yield start, match.end()
            start = match.end()
    if text[start:].strip():
        yield start, len(text)


def sentences(text: str) -> list[str]:
    """The sentences of a text, each with the white space that follows it."""
    return [text[start:end] for start, end in sentence_spans(text)]
