"""What a card shows for its claims: scores, similarities, near-duplicates, and rows that could not be read.

What belongs here: numbers and examples as Markdown. What does not: where they come from (stores), and drawing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from deita_assets.core.calibration import CurvePoint, NearPair
from deita_assets.exports.escaping import escaped, shortened, table

#: Percentiles that stand in a card for a distribution.
PERCENTILES: Final = (5, 25, 50, 75, 95)
#: Characters shown of each row of a pair.
_SHOWN: Final = 120
#: Thresholds of a calibration that are told in words; the figure has all of them.
_TOLD: Final = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class Spread:
    """How a score is spread: percentiles of `PERCENTILES` over the pool and over what was selected."""

    pool: tuple[float, ...]
    selected: tuple[float, ...]


@dataclass(frozen=True)
class Curve:
    """A stored calibration of the scope: rows compared, best first, and what each threshold keeps of them."""

    calibration_id: str
    visited: int
    points: tuple[CurvePoint, ...]


@dataclass(frozen=True)
class Evidence:
    """What was measured of a selection.

    Attributes:
        spreads: score -> its spread.
        threshold: of the selection; None where nothing was compared.
        nearest: percentiles of `PERCENTILES` of the similarity of each visited row to the nearest row kept before it.
        n_compared: visited rows that have such a similarity.
        curve: a calibration of the same pool, where there is one.
        pairs: near-duplicates closest to the threshold; None where rows are not to be shown.
        quarantine: (source, reason, rows) of the sources' files.
    """

    spreads: Mapping[str, Spread] = field(default_factory=dict)
    threshold: float | None = None
    nearest: tuple[float, ...] = ()
    n_compared: int = 0
    curve: Curve | None = None
    pairs: Sequence[NearPair] | None = None
    quarantine: Sequence[tuple[str, str, int]] = ()


def evidence_sections(evidence: Evidence) -> list[list[str]]:
    """Sections of a card, each a list of lines; those with nothing to tell are left out."""
    return [
        part
        for part in (_scores(evidence), _similarities(evidence), _pairs(evidence), _quarantine(evidence))
        if part
    ]


def _scores(evidence: Evidence) -> list[str]:
    if not evidence.spreads:
        return []
    rows = []
    for name, spread in evidence.spreads.items():
        for which, values in (("pool", spread.pool), ("selected", spread.selected)):
            if values:
                rows.append([f"{escaped(name)}, {which}", *(f"{value:.2f}" for value in values)])
    header = ["score", *(f"{p} %" for p in PERCENTILES)]
    return ["## Scores", "", "Percentiles over the scored rows of the pool, and over those selected.", "",
            *table(header, rows, numbers=range(1, len(header)))]  # fmt: skip


def _similarities(evidence: Evidence) -> list[str]:
    if evidence.curve:
        return ["## Threshold", "", *_curve(evidence.curve, evidence.threshold)]
    if not evidence.nearest:
        return []
    told = table(
        [f"{p} %" for p in PERCENTILES],
        [[f"{value:.3f}" for value in evidence.nearest]],
        numbers=range(len(PERCENTILES)),
    )
    limit = "" if evidence.threshold is None else f" A row is dropped above {evidence.threshold:g}."
    return [
        "## Similarity to the nearest better row", "",
        f"Percentiles over the {evidence.n_compared:,} rows that were compared with rows kept before them.{limit} "
        "The scope was not calibrated on this pool, so what other thresholds would keep is not known.", "", *told,
    ]  # fmt: skip


def _curve(curve: Curve, threshold: float | None) -> list[str]:
    told = [point for point in curve.points if point.threshold in (*_TOLD, threshold)]
    rows = [
        [
            f"**{p.threshold:g}**" if p.threshold == threshold else f"{p.threshold:g}",
            f"{p.kept:,}",
            f"{p.dropped_share:.1%}",
        ]
        for p in told
    ]
    return [
        f"What each similarity threshold keeps of the best {curve.visited:,} rows (calibration "
        f"`{escaped(curve.calibration_id)}`); the selection's own in bold.", "",
        *table(["threshold", "kept", "dropped"], rows, numbers=(0, 1, 2)),
    ]  # fmt: skip


def _pairs(evidence: Evidence) -> list[str]:
    if not evidence.pairs:
        return []
    rows = [
        [
            f"{pair.similarity:.4f}",
            _row(pair.instruction, pair.sample_id),
            _row(pair.kept_instruction, pair.blocked_by),
        ]
        for pair in evidence.pairs
    ]
    return ["## Near-duplicates", "", "Those that came closest to being kept, by their first instructions.", "",
            *table(["similarity", "dropped", "kept in its place"], rows, numbers=(0,))]  # fmt: skip


def _row(text: str, sample_id: str) -> str:
    return f"{escaped(shortened(text, _SHOWN))} ({escaped(sample_id)})"


def _quarantine(evidence: Evidence) -> list[str]:
    if not evidence.quarantine:
        return []
    rows = [[escaped(source), escaped(reason), f"{n:,}"] for source, reason, n in evidence.quarantine]
    return ["## Quarantine", "", "Rows of the sources' files that could not be read; they were never in the pool.", "",
            *table(["source", "reason", "rows"], rows, numbers=(2,))]  # fmt: skip
