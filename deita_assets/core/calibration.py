"""Threshold calibration: what other thresholds would keep of a scope, and what its near pairs are like.

What belongs here: the grid, the parts of a result and its shape. What does not: the walk over the vectors
(threshold_walk), what speaks for a threshold (threshold_evidence), where texts and results are stored.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from deita_assets.core.repr_filter import GreedyPass
from deita_assets.core.threshold_evidence import Band, Recommendation, share_half
from deita_assets.core.threshold_walk import ThresholdWalk

#: Percentiles of nearest-neighbour similarity that are told.
PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99)
#: Pairs looked at for each band of similarity.
PAIRS_PER_BAND = 50
#: Pairs shown on either side of the current threshold.
PAIRS_SHOWN = 10
#: Points of the curve over visited rows.
_GROWTH_POINTS = 20

_GRID = (
    *(0.50, 0.55, 0.60, 0.65, 0.70),
    *(0.72, 0.74, 0.76, 0.78, 0.80, 0.82, 0.84, 0.86, 0.88, 0.90),
    *(0.91, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 0.99),
)


@dataclass(frozen=True)
class CurvePoint:
    """What one threshold keeps of the visited rows."""

    threshold: float
    kept: int
    dropped_share: float


@dataclass(frozen=True)
class Growth:
    """Rows kept among the first `visited`, one number for each point of the curve."""

    visited: int
    kept: tuple[int, ...]


@dataclass(frozen=True)
class Pair:
    """A row, the nearest row kept before it, and their similarity."""

    similarity: float
    sample_id: str
    nearest: str


@dataclass(frozen=True)
class NearPair:
    """A near-duplicate and the kept row that blocked it, by their first instructions."""

    similarity: float
    sample_id: str
    instruction: str
    blocked_by: str
    kept_instruction: str


@dataclass(frozen=True)
class Calibration:
    """What is known about the thresholds of a scope.

    Attributes:
        calibration_id: digest of everything that decided it.
        scope_kind: `source` or `mixture`.
        scope: its name.
        threshold: the scope's threshold at the time.
        visited: rows compared, best first.
        selectable: rows that could be.
        curve: rows kept at each threshold of the grid, ascending.
        growth: the same after a part of the rows.
        percentiles: (percentile, similarity of rows to their nearest neighbour among the visited rows); empty for
            fewer than two rows.
        bands: evidence for the recommendation, ascending.
        below: kept rows that came nearest to being dropped, nearest first.
        above: dropped rows that came nearest to being kept, nearest first.
        recommendation: the threshold that the bands speak for.
    """

    calibration_id: str
    scope_kind: str
    scope: str
    threshold: float
    visited: int
    selectable: int
    curve: tuple[CurvePoint, ...]
    growth: tuple[Growth, ...]
    percentiles: tuple[tuple[int, float], ...]
    bands: tuple[Band, ...]
    below: tuple[Pair, ...]
    above: tuple[Pair, ...]
    recommendation: Recommendation

    @property
    def dropped_share(self) -> float:
        """Share of the visited rows that the scope's threshold drops."""
        return next(point.dropped_share for point in self.curve if point.threshold == self.threshold)

    def values(self) -> dict[str, Any]:
        """The result as JSON values."""
        return asdict(self)

    @classmethod
    def of_values(cls, values: Mapping[str, Any]) -> Calibration:
        """What `values` gave."""
        parts: dict[str, Any] = {
            "curve": tuple(CurvePoint(**one) for one in values["curve"]),
            "percentiles": tuple((int(p), float(s)) for p, s in values["percentiles"]),
            "growth": tuple(Growth(one["visited"], tuple(one["kept"])) for one in values["growth"]),
            "bands": tuple(Band(**one) for one in values["bands"]),
            "below": tuple(Pair(**one) for one in values["below"]),
            "above": tuple(Pair(**one) for one in values["above"]),
            "recommendation": Recommendation(**values["recommendation"]),
        }
        return cls(**{**values, **parts})


def threshold_grid(current: float) -> tuple[float, ...]:
    """The thresholds that are tried: .50 to .99, denser at the top, and the current one."""
    return tuple(sorted({*_GRID, current}))


def curve_of(walk: ThresholdWalk) -> tuple[CurvePoint, ...]:
    """Rows kept at each threshold when all rows are visited."""
    visited = len(walk.kept_at)
    (kept,) = walk.kept_after([visited])
    return tuple(
        CurvePoint(float(t), int(k), 1 - int(k) / visited if visited else 0.0)
        for t, k in zip(walk.grid, kept, strict=True)
    )


def growth_of(walk: ThresholdWalk) -> tuple[Growth, ...]:
    """Rows kept at each threshold after a twentieth of the rows, two twentieths, and so on."""
    visited = len(walk.kept_at)
    ends = sorted({visited * part // _GROWTH_POINTS for part in range(1, _GROWTH_POINTS + 1)} - {0})
    return tuple(
        Growth(end, tuple(int(k) for k in kept))
        for end, kept in zip(ends, walk.kept_after(ends), strict=True)
    )


def percentiles_of(walk: ThresholdWalk) -> tuple[tuple[int, float], ...]:
    """Percentiles of the similarity of each row to its nearest neighbour, to four places; they are estimates."""
    finite = walk.nearest_similarity[np.isfinite(walk.nearest_similarity)]
    if not len(finite):
        return ()
    found = np.percentile(finite, PERCENTILES)
    return tuple((p, round(float(s), 4)) for p, s in zip(PERCENTILES, found, strict=True))


def pairs_around(done: GreedyPass, ids: Sequence[str]) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """(kept rows that came nearest to being dropped, dropped rows that came nearest to being kept) of a pass.

    Args:
        done: a pass over all rows at the current threshold.
        ids: what the rows of its order are called.
    """
    compared = np.flatnonzero(done.blocked_by >= 0)
    kept = compared[done.is_kept[compared]]
    dropped = compared[~done.is_kept[compared]]
    below = kept[np.argsort(-done.similarity[kept], kind="stable")][:PAIRS_SHOWN]
    above = dropped[np.argsort(done.similarity[dropped], kind="stable")][:PAIRS_SHOWN]

    def pair(row: int) -> Pair:
        return Pair(float(done.similarity[row]), ids[row], ids[done.blocked_by[row]])

    return tuple(map(pair, below)), tuple(map(pair, above))


def bands_of(walk: ThresholdWalk, words: Mapping[int, Collection[str]]) -> tuple[Band, ...]:
    """How alike the sampled pairs of a walk read.

    Args:
        walk: with its pairs.
        words: place in the order -> distinct words that say something, for all rows of these pairs.
    """
    bands = []
    for at, pairs in enumerate(walk.pairs):
        high = float(walk.grid[at + 1]) if at + 1 < len(walk.grid) else 1.0
        similar = sum(share_half(words[pair.row], words[pair.nearest]) for pair in pairs)
        alike = similar / len(pairs) if pairs else None
        bands.append(Band(float(walk.grid[at]), high, walk.band_rows(at), len(pairs), alike))
    return tuple(bands)


def side_by_side(one: str, other: str, width: int) -> tuple[str, str]:
    """Two texts cut to `width` characters each, so that what differs is seen: a long common beginning is left out."""
    shared = next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    start = 0 if shared < width // 2 else shared - width // 8
    return _window(one, start, width), _window(other, start, width)


def _window(text: str, start: int, width: int) -> str:
    cut = text[start : start + width]
    return ("…" if start else "") + cut + ("…" if start + width < len(text) else "")
