"""Features of a graded set on disk: fitting again then costs seconds and no pass of the encoder.

What belongs here: writing and reading them. What does not: computing them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deita_assets.errors import ScorerError
from deita_assets.scorers.base import Measure
from deita_assets.scorers.distilled.scorer import feature_versions
from deita_assets.stores.whole_file import write_whole
from deita_assets.training.examples import Featured, ladder_of
from deita_assets.training.graded_set import GradedText, set_sha256, split


def write_features(path: Path, learnt: Featured, held: Featured) -> None:
    """Features of both splits, float64, in a safetensors file that names the set they belong to."""
    from safetensors.numpy import save

    path.parent.mkdir(parents=True, exist_ok=True)
    # One key: safetensors writes several in another order each time.
    of = {"of": _identity([*learnt.texts, *held.texts])}
    write_whole(path, save({"learnt": learnt.features, "held": held.features}, metadata=of))


def read_features(path: Path, measure: Measure, texts: list[GradedText]) -> tuple[Featured, Featured]:
    """(learnt, held) with the features of a file.

    Raises:
        ScorerError: no such file, or one of another set or of other features.
    """
    from safetensors import SafetensorError, safe_open

    learnt, held = split(texts)
    try:
        with safe_open(path, framework="numpy") as file:
            found = (file.metadata() or {}).get("of")
            arrays = {name: np.asarray(file.get_tensor(name)) for name in ("learnt", "held")}
    except (OSError, SafetensorError) as error:
        raise ScorerError(f"{path}: no features ({error}).", cure="Materialise graded_features.") from error
    if found != _identity(texts):
        raise ScorerError(
            f"{path}: found features of {found}, expected {_identity(texts)}.",
            cure="Materialise graded_features again.",
        )
    ladders = (ladder_of(measure, learnt, judged=False), ladder_of(measure, held, judged=True))
    return (
        Featured(measure, learnt, ladders[0], arrays["learnt"]),
        Featured(measure, held, ladders[1], arrays["held"]),
    )


def _identity(texts: Sequence[GradedText]) -> str:
    """Features of another version may have the same shape, and a head fitted to them would be wrong in silence."""
    return json.dumps({"features": feature_versions(), "set": set_sha256(texts)})
