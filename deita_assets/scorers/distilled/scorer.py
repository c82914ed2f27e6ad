"""The scorer over a head: turns in, scores, statuses and, as a by-product, embeddings out.

What belongs here: empty texts, statuses, the fingerprint. What does not: features (`features`) and the head (`head`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.fingerprint import Fingerprint
from deita_assets.errors import ScorerError, UsageError
from deita_assets.scorers.base import MEASURES, Measure, Status, TurnText
from deita_assets.scorers.distilled.counted import COUNTED_VERSION
from deita_assets.scorers.distilled.features import (
    FEATURES_VERSION,
    SegmentEncoder,
    complexity_features,
    complexity_names,
    quality_features,
    quality_names,
)
from deita_assets.scorers.distilled.head import OrdinalHead, load_head
from deita_assets.scorers.distilled.turn_text import TEXT_VERSION, joint_text

#: Raise it whenever the same head and features would give other scores.
ALGORITHM_VERSION = 1
#: Batches change a token state in its seventh digit; five decimals of a score are the same in nearly all of them.
_DECIMALS = 5
_PACKAGED = Path(__file__).parent


class TurnEncoder(SegmentEncoder, Protocol):
    """The encoder under the heads."""

    fingerprint: Fingerprint
    window: int

    def count_text_tokens(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        ...


class DistilledScorer:
    """Scores turns with a small ordinal head over a frozen sentence encoder.

    Attributes:
        measure: `complexity` (reads the instruction only) or `quality` (reads both texts).
        fingerprint: head, features and encoder of these scores.
        window: tokens that the encoder reads at once; longer texts are read in windows, none is cut.
        head: the weights.
    """

    def __init__(self, measure: Measure, encoder: TurnEncoder, *, heads: str | Path | None = None) -> None:
        """Loads the head of a measure.

        Args:
            measure: which head.
            encoder: the sentence encoder that the head was trained on.
            heads: folder with `complexity.safetensors` and `quality.safetensors`; None for the shipped ones.

        Raises:
            UsageError: for an unknown measure.
            ScorerError: no such head, or one that was trained for another measure, encoder or features.
        """
        if measure not in MEASURES:
            raise UsageError(f"measure: found {measure!r}, expected one of {', '.join(MEASURES)}.")
        self.measure: Measure = measure
        path = Path(heads or _PACKAGED) / f"{measure}.safetensors"
        self.head, digest = load_head(path)
        self._encoder = encoder
        self.window = encoder.window
        _check_head(path, self.head, measure, encoder)
        self.fingerprint = Fingerprint(
            "scorer",
            "distilled",
            {
                "algorithm": ALGORITHM_VERSION,
                "encoder": encoder.fingerprint.digest,
                "features": feature_versions(),
                "head_sha256": digest,
                "measure": measure,
            },
        )

    def score_turns(self, turns: Sequence[TurnText]) -> tuple[NDArray[np.float64], list[Status]]:
        """Scores in (1, 6), float64 (len(turns),), NaN exactly where the status is `empty_response`.

        Only quality has that status: a response without a visible character.
        """
        scores, statuses, _ = self.score_and_embed(turns)
        return scores, statuses

    def score_and_embed(
        self, turns: Sequence[TurnText]
    ) -> tuple[NDArray[np.float64], list[Status], dict[int, NDArray[np.float32]]]:
        """Scores and statuses, and by turn number the unit vector of its joint text that the same pass gave.

        Complexity reads instructions alone and has no such vectors.
        """
        scores = np.full(len(turns), np.nan, dtype=np.float64)
        statuses: list[Status] = ["ok"] * len(turns)
        vectors: dict[int, NDArray[np.float32]] = {}
        if self.measure == "complexity":
            if turns:
                features = complexity_features(self._encoder, [instruction for instruction, _ in turns])
                scores = np.round(self.head.scores(features), _DECIMALS)
            return scores, statuses, vectors
        answered = [at for at, (_, response) in enumerate(turns) if response.strip()]
        for at in set(range(len(turns))) - set(answered):
            statuses[at] = "empty_response"
        if answered:
            features, joint = quality_features(self._encoder, [turns[at] for at in answered])
            scores[answered] = np.round(self.head.scores(features), _DECIMALS)
            vectors = dict(zip(answered, joint, strict=True))
        return scores, statuses, vectors

    def count_tokens(self, turns: Sequence[TurnText]) -> list[int]:
        """Tokens that the encoder reads of each turn."""
        if self.measure == "complexity":
            return self._encoder.count_text_tokens([instruction for instruction, _ in turns])
        return self._encoder.count_text_tokens(
            [joint_text(instruction, response).text for instruction, response in turns]
        )


def feature_versions() -> list[int]:
    """Versions of everything between a turn and its features."""
    return [FEATURES_VERSION, COUNTED_VERSION, TEXT_VERSION]


def _check_head(path: Path, head: OrdinalHead, measure: Measure, encoder: TurnEncoder) -> None:
    expected = {
        "measure": measure,
        "encoder": encoder.fingerprint.digest,
        "features": feature_versions(),
    }
    found = {name: head.about.get(name) for name in expected}
    names = complexity_names(encoder.dimension) if measure == "complexity" else quality_names()
    if found != expected or head.names != names:
        raise ScorerError(
            f"{path}: the head was trained for {found} with {len(head.names)} features, "
            f"expected {expected} with {len(names)}.",
            cure="Name a folder of heads built by this version, or leave `[scorer] heads` out.",
        )
