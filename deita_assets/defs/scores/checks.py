"""Checks of `complexity_scores[source]`, `quality_scores[source]` and `scored_pool[source]`.

What belongs here: their names and wiring. What does not: the rules (core.checks), or the reading (engines.checks).
"""

from __future__ import annotations

from collections.abc import Sequence

from deita_assets.core.checks.finding import Finding
from deita_assets.defs.check_records import EVOL_SCORES, FINITE_SCORES, STORES_AGREE, UNIQUE_KEYS
from deita_assets.defs.check_steps import checks_of
from deita_assets.defs.platform import Platform
from deita_assets.defs.scores.assets import complexity_scores, quality_scores, scored_pool
from deita_assets.engines.checks.scored_pool import check_scored_pool
from deita_assets.engines.checks.scores import check_scores

_SCORES = {
    UNIQUE_KEYS: "Each prompt has one stored result of this scorer.",
    FINITE_SCORES: "A score within 1 to 6 wherever the status has one, and none anywhere else.",
    "missing_pairs": "Every turn of the pool has a result. Warns.",
    "status_share": "Few turns were truncated, given a fallback or left without a score. Warns above 5 %.",
    "constant_scores": "Scores of different prompts differ. Warns.",
    "length_correlation": "Scores say more than the length of the prompt. Warns above .85.",
}


def _complexity(platform: Platform, source: str) -> Sequence[Finding]:
    return check_scores(platform.warehouse, source, "complexity")


def _quality(platform: Platform, source: str) -> Sequence[Finding]:
    return check_scores(platform.warehouse, source, "quality")


def _scored_pool(platform: Platform, source: str) -> Sequence[Finding]:
    return check_scored_pool(platform.warehouse, source, platform.settings.source(source).aggregation)


complexity_scores_checks = checks_of(complexity_scores, _SCORES, _complexity)
quality_scores_checks = checks_of(quality_scores, _SCORES, _quality)
scored_pool_checks = checks_of(
    scored_pool,
    {
        STORES_AGREE: "A row for each row of the pool, and every score as LanceDB has it.",
        EVOL_SCORES: "evol_score of a sample of rows, made again from the scores of their turns.",
    },
    _scored_pool,
)
