"""Scorers: turns in, one score and one status each out.

What belongs here: scorers and the names under which settings choose them. What does not: where scores are
stored, and how they become a selection.

`distilled` is a small head over a sentence encoder, trained on the project's own graded set; `heuristic` counts words
and marks and needs no model; `deita` is a causal language model trained on the DEITA
prompts, by default the paper's own scorer of the measure. Importing this package loads no model library.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deita_assets.errors import UsageError
from deita_assets.scorers.base import Measure, Scorer

SCORERS = ("distilled", "heuristic", "deita")


def load_scorer(name: str, measure: Measure, **options: Any) -> Scorer:
    """The scorer called `name` for one measure; `options` go to its constructor.

    Without a `model` option, `deita` takes the preset of the measure.

    Raises:
        UsageError: for an unknown name, measure or option.
        ScorerError: when the scorer cannot be made.
    """
    if name not in SCORERS:
        raise UsageError(f"scorer: found {name!r}, expected one of {', '.join(SCORERS)}.")
    try:
        return _LOADERS[name](measure, **options)
    except TypeError as error:
        raise UsageError(f"scorer {name}: {error}.") from error


def _load_distilled(measure: Measure, encoder: Any = None, heads: str | None = None) -> Scorer:
    from deita_assets.scorers.distilled.scorer import DistilledScorer

    if encoder is None:
        raise UsageError(
            "scorer distilled: no encoder given.",
            cure="Hand in one: `encoder=deita_assets.embedders.sentence.SentenceEmbedder()`.",
        )
    return DistilledScorer(measure, encoder, heads=heads)


def _load_heuristic(measure: Measure, **options: Any) -> Scorer:
    from deita_assets.scorers.heuristic import HeuristicScorer

    return HeuristicScorer(measure, **options)


def _load_deita(measure: Measure, model: str | None = None, **options: Any) -> Scorer:
    from deita_assets.scorers.deita import PRESETS, DeitaScorer

    if model is None and measure in PRESETS:
        model = PRESETS[measure]
    return DeitaScorer(model or "", measure, **options)


_LOADERS: dict[str, Callable[..., Scorer]] = {
    "distilled": _load_distilled,
    "heuristic": _load_heuristic,
    "deita": _load_deita,
}
