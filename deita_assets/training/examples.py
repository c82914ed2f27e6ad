"""From graded texts to what a head is fitted to: features, targets, ordered pairs.

What belongs here: which rows and pairs a measure learns from, and their weights. What does not: the loss (`fit`) and
how features are computed (`scorers.distilled.features`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from deita_assets.errors import UsageError
from deita_assets.scorers.base import Measure
from deita_assets.scorers.distilled.features import (
    SegmentEncoder,
    complexity_features,
    complexity_names,
    quality_features,
    quality_names,
)
from deita_assets.training.corruptions import Corruption, corruptions
from deita_assets.training.fit import Examples, Floats
from deita_assets.training.graded_set import GRADES, HELD_OUT_ONE_IN, GradedText

#: An answer of at least this grade is worth corrupting.
GOOD = 4
#: Share of the ladder among the ordered pairs of quality; the rest are pairs of graded responses.
LADDER_SHARE = 0.6
#: Texts whose features are computed at once; bounds what is held, results do not depend on it.
_AT_ONCE = 256

T = TypeVar("T")


@dataclass(frozen=True)
class Featured:
    """A graded set with its features.

    Attributes:
        measure: what the grades are of.
        texts: the graded texts.
        ladder: corruptions of the good answers among them; none for complexity.
        features: float64 (len(texts) + len(ladder), d).
    """

    measure: Measure
    texts: Sequence[GradedText]
    ladder: Sequence[Corruption]
    features: Floats

    @property
    def graded(self) -> Floats:
        """Features of the graded texts."""
        return self.features[: len(self.texts)]

    @property
    def corrupted(self) -> Floats:
        """Features of the ladder."""
        return self.features[len(self.texts) :]


def featured(
    measure: Measure, texts: Sequence[GradedText], encoder: SegmentEncoder, *, judged: bool = False
) -> Featured:
    """Computes the features of a graded set; for quality, of its ladder too.

    Args:
        measure: what the grades are of.
        texts: the graded texts.
        encoder: the sentence encoder.
        judged: whether the texts are held out, so that the ladder uses what was not learnt from.

    Raises:
        UsageError: no text; a small set may have no seed on one side of the split.
    """
    if not texts:
        raise UsageError(
            f"graded set of {measure}: found no seed to {'judge with' if judged else 'learn from'}; "
            f"one in {HELD_OUT_ONE_IN} is held out, by its name.",
            cure="Give more seeds; nearly any 40 have both.",
        )
    ladder = ladder_of(measure, texts, judged=judged)
    if measure == "complexity":
        parts = [complexity_features(encoder, [t.instruction for t in part]) for part in in_parts(texts)]
        return Featured(measure, texts, ladder, np.vstack(parts))
    turns = [(text.instruction, text.response or "") for text in texts]
    turns += [(one.original.instruction, one.response) for one in ladder]
    return Featured(
        measure, texts, ladder, np.vstack([quality_features(encoder, part)[0] for part in in_parts(turns)])
    )


def ladder_of(measure: Measure, texts: Sequence[GradedText], *, judged: bool) -> list[Corruption]:
    """Corruptions of the good answers among some texts; none for complexity, and no empty ones (they get no score)."""
    if measure == "complexity":
        return []
    good = [text for text in texts if text.grade >= GOOD and (text.response or "").strip()]
    return [one for one in corruptions(good, judged=judged) if one.response.strip()]


def examples(set_: Featured) -> Examples:
    """What a head learns from a set: every grading, and every pair of which one text is better or harder."""
    texts, ladder = set_.texts, set_.ladder
    row = {text.id: at for at, text in enumerate(texts)}
    pairs = graded_pairs(texts)
    weights = [1.0 / max(1, len(pairs))] * len(pairs)
    if ladder:
        weights = [weight * (1 - LADDER_SHARE) for weight in weights] + _ladder_weights(ladder)
        pairs = pairs + [(row[one.original.id], len(texts) + at) for at, one in enumerate(ladder)]
    seeds = [text.seed for text in texts] + [one.original.seed for one in ladder]
    return Examples(
        set_.features,
        np.array([_shares(text) for text in texts]),
        np.array(pairs, np.int64).reshape(-1, 2),
        np.array(weights, np.float64),
        seeds,
    )


def graded_pairs(texts: Sequence[GradedText]) -> list[tuple[int, int]]:
    """(better or harder, the other) of every two texts of one seed whose grades differ, by place in `texts`."""
    by_seed: dict[str, list[int]] = defaultdict(list)
    for at, text in enumerate(texts):
        by_seed[text.seed].append(at)
    return [
        (a, b) if texts[a].grade > texts[b].grade else (b, a)
        for group in by_seed.values()
        for a, b in combinations(group, 2)
        if texts[a].grade != texts[b].grade
    ]


def names_of(measure: Measure, dimension: int) -> tuple[str, ...]:
    """Names of a measure's features."""
    return complexity_names(dimension) if measure == "complexity" else quality_names()


def families_of(names: Iterable[str]) -> list[str]:
    """The family of each feature: `vector` for coordinates of the encoder, else `counted`."""
    return ["vector" if name[0] == "v" and name[1:].isdigit() else "counted" for name in names]


def _shares(text: GradedText) -> NDArray[np.float64]:
    """Both gradings count half; where they were two grades apart or more, only what was decided counts."""
    grades = list(text.grades) if np.ptp(text.grades) < 2 else [text.grade]
    return np.array([grades.count(grade) for grade in GRADES], np.float64) / len(grades)


def _ladder_weights(ladder: Sequence[Corruption]) -> list[float]:
    """Every kind of corruption weighs the same, however many answers allow it."""
    kinds = [one.kind for one in ladder]
    return [LADDER_SHARE / (len(set(kinds)) * kinds.count(kind)) for kind in kinds]


def in_parts(rows: Sequence[T]) -> Iterable[Sequence[T]]:
    """The rows in parts of which the features are computed at once."""
    return (rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE))
