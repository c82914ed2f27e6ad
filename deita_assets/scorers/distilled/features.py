"""Features of turns for the distilled heads: counted ones and those read off a sentence encoder.

What belongs here: which numbers a head sees, by name and in order. What does not: counting (`counted`), the encoder,
and the head.

Complexity reads the instruction alone, so that equal instructions have equal scores whatever was answered. Quality
reads both texts in one forward pass and tells instruction and sentences apart by their token states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deita_assets.scorers.base import TurnText
from deita_assets.scorers.distilled.counted import (
    INSTRUCTION_NAMES,
    RESPONSE_NAMES,
    count_instruction,
    count_response,
)
from deita_assets.scorers.distilled.turn_text import joint_text, sentences

#: Raise it whenever the same turn would get other features.
FEATURES_VERSION = 1

#: Read off the token states of a turn; cosines of mean states.
VECTOR_NAMES = ("cos_instruction_response", "cos_neighbours_over_others")

#: Read off the encoder's input embeddings, which cost no pass. In one pass over both texts the states of an answer
#: lean towards its question whatever it says; words that never met do not. On 90 answers exchanged for others of their
#: length, `words_taken_up` tells them apart with an AUC of .92.
WORD_NAMES = ("words_taken_up", "words_on_topic", "first_over_mean")
#: Words of each text that are compared; the product grows with their square.
_MOST_WORDS = 512


Words: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Unit input embeddings (tokens, d) of a text, and their weights (tokens,)."""


class Segments(Protocol):
    """Token states of one text by segment: see `embedders.sentence.SegmentSums`."""

    @property
    def states(self) -> NDArray[np.float64]:
        """(segments, d)."""
        ...

    @property
    def n_tokens(self) -> NDArray[np.int64]:
        """(segments,)."""
        ...


class SegmentEncoder(Protocol):
    """A sentence encoder that also gives the token states of segments."""

    dimension: int

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, float32 (len(texts), dimension)."""
        ...

    def word_vectors(self, texts: Sequence[str]) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Unit input embeddings (tokens, dimension) of each text and weights (tokens,), low for common words."""
        ...

    def embed_segments(
        self, texts: Sequence[str], cuts: Sequence[Sequence[int]]
    ) -> tuple[NDArray[np.float32], Sequence[Segments]]:
        """Unit vectors, and the segments' sums of the same forward pass."""
        ...


def complexity_names(dimension: int) -> tuple[str, ...]:
    """Names of the complexity features for an encoder of that dimension."""
    return (*INSTRUCTION_NAMES, *(f"v{i}" for i in range(dimension)))


def quality_names() -> tuple[str, ...]:
    """Names of the quality features."""
    return (*RESPONSE_NAMES, *VECTOR_NAMES, *WORD_NAMES)


def complexity_features(encoder: SegmentEncoder, instructions: Sequence[str]) -> NDArray[np.float64]:
    """Counted features and the unit vector of each instruction, float64 (n, d)."""
    counted = [count_instruction(instruction) for instruction in instructions]
    vectors = encoder.embed_texts(instructions)
    return np.hstack([np.array(counted).reshape(len(counted), len(INSTRUCTION_NAMES)), vectors])


def quality_features(
    encoder: SegmentEncoder, turns: Sequence[TurnText]
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Features of each turn, float64 (n, d), and the unit vector of its joint text, float32 (n, dimension)."""
    joint = [joint_text(instruction, response) for instruction, response in turns]
    vectors, segments = encoder.embed_segments([one.text for one in joint], [one.cuts for one in joint])
    asked = encoder.word_vectors([instruction for instruction, _ in turns])
    told = encoder.word_vectors([response for _, response in turns])
    opened = encoder.word_vectors([next(iter(sentences(response)), "") for _, response in turns])
    rows = [
        [*count_response(*turn), *vector_features(found), *word_features(*words)]
        for turn, found, *words in zip(turns, segments, asked, told, opened, strict=True)
    ]
    return np.array(rows, np.float64).reshape(len(rows), len(quality_names())), vectors


def vector_features(segments: Segments) -> list[float]:
    """The numbers of `VECTOR_NAMES`; segment 0 is the instruction, the others are the response's sentences.

    0 for a response without a token, and for differences where there are too few sentences for one.
    """
    states = segments.states[1:][segments.n_tokens[1:] > 0]
    if not len(states):
        return [0.0] * len(VECTOR_NAMES)
    asked, whole = _unit(segments.states[:1])[0], _unit(states.sum(axis=0, keepdims=True))[0]
    return [float(whole @ asked), _near_over_others(_unit(states))]


def word_features(asked: Words, told: Words, opened: Words) -> list[float]:
    """The numbers of `WORD_NAMES`: how well the instruction's words are met in the response, and the reverse."""
    taken_up = _met(asked, told)
    return [taken_up, _met(told, asked), _met(asked, opened) - taken_up]


def _met(these: Words, those: Words) -> float:
    """Mean over these words, by weight, of the cosine to the nearest of those."""
    if not len(these[0]) or not len(those[0]):
        return 0.0
    vectors, weights = these[0][:_MOST_WORDS], these[1][:_MOST_WORDS].astype(np.float64)
    nearest = (vectors @ those[0][:_MOST_WORDS].T).max(axis=1).astype(np.float64)
    # At least one whole word's weight: marks and particles alone meet nothing, however alike they are.
    return float((nearest * weights).sum() / max(1.0, float(weights.sum())))


def _near_over_others(parts: NDArray[np.float64]) -> float:
    """How much more alike neighbours are than sentences further apart: sense runs on from one to the next."""
    n = len(parts)
    if n < 3:
        return 0.0
    similar = parts @ parts.T
    near = np.diagonal(similar, 1)
    others = (similar.sum() - np.trace(similar) - 2 * near.sum()) / (n * n - n - 2 * len(near))
    return float(near.mean() - others)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: NDArray[np.float64] = rows / np.where(lengths > 0, lengths, 1.0)
    return unit
