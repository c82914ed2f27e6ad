"""The two prompts that the DEITA scorers were trained on, byte for byte.

What belongs here: the prompt texts and where a row's text stands in them. What does not: tokens and models.

The space before a line break and the two spaces after the query belong to the prompts: a scorer sees other
tokens without them.
"""

from __future__ import annotations

from dataclasses import dataclass

from deita_assets.core.fingerprint import canonical_json, sha256_hex
from deita_assets.scorers.base import Measure

#: Literal pieces in order; the texts of a turn stand between them.
PIECES: dict[Measure, tuple[str, ...]] = {
    "complexity": (
        "You are a helpful assistant. Please identify the complexity score of the following user query. \n"
        "##Query: ",
        "  \n##Complexity: ",
    ),
    "quality": (
        "You are a helpful assistant. Please identify the quality score of the Response corresponding to the "
        "Question. \n #Question#:\n",
        "\n#Response#:\n",
        " \n##Quality: ",
    ),
}


@dataclass(frozen=True)
class Prompt:
    """One prompt and its row text.

    Attributes:
        text: what the model reads.
        spans: half-open character ranges of the instruction and, for quality, the response inside `text`.
    """

    text: str
    spans: tuple[tuple[int, int], ...]


def build_prompt(measure: Measure, instruction: str, response: str = "") -> Prompt:
    """The prompt of one turn; complexity reads the instruction only."""
    pieces = PIECES[measure]
    contents = (instruction, response)[: len(pieces) - 1]
    text, spans = pieces[0], []
    for content, piece in zip(contents, pieces[1:], strict=True):
        spans.append((len(text), len(text) + len(content)))
        text += content + piece
    return Prompt(text, tuple(spans))


def template_sha256(measure: Measure) -> str:
    """sha256 of the literal pieces of one prompt, 64 hex characters."""
    return sha256_hex(canonical_json(PIECES[measure]))
