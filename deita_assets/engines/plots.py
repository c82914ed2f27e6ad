"""Plots that Dagster shows inside Markdown: SVG of under 700 characters, readable on light and dark grounds.

They are small because the Dagster UI (1.13) shows Markdown of 1,000 characters or more behind a link alone, and a PNG
of any use is longer than that. Coordinates are whole pixels; no foreign text comes into a picture.

What belongs here: drawing, and wrapping a picture as Markdown. What does not: what is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

#: Middle tones: each has a contrast of 3 : 1 or more with white and with the UI's dark ground.
INK, CURVE, CURRENT, RECOMMENDED = "#808894", "#3d85d9", "#c87f0a", "#2e9e5b"
#: Characters of Markdown from which the UI hides it behind a link.
SHOWN_IN_PLACE = 1000
_WIDTH, _HEIGHT = 412, 130
#: Where the plot stands in the picture: its left, right, upper and lower edge.
_LEFT, _RIGHT, _TOP, _BOTTOM = 2, 410, 14, 114
_BINS = 24
#: Points of a curve, and marks on it, at most.
_POINTS, _MARKS = 30, 5
#: Pixels that a number under an axis needs.
_LABEL = 34


def histogram(pool: NDArray[np.float64], selected: NDArray[np.float64] | None = None) -> str:
    """Shares of values in equal bins; the longest 0.5 % of an upper tail stand in the last one.

    Args:
        pool: finite values, drawn filled, with their median marked.
        selected: some of them, drawn as an outline over the others; each set is drawn to its own share.
    """
    if not len(pool):
        return _svg("")
    low, high = float(pool.min()), float(np.quantile(pool, 0.995))
    edges = np.linspace(low, high if high > low else low + 1.0, _BINS + 1)
    sets = [pool] if selected is None or not len(selected) else [pool, selected]
    shares = [np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0] / len(values) for values in sets]
    tallest = max(float(share.max()) for share in shares)
    colour = CURVE if len(sets) == 1 else INK
    drawn = f"<path d='{_stairs(shares[0] / tallest)}' fill='{colour}' opacity='.6'/>"
    for share in shares[1:]:
        drawn += _line(_stairs(share / tallest), CURVE)
    median = float(np.median(pool))
    at = _x((median - edges[0]) / (edges[-1] - edges[0]))
    drawn += _line(f"M{at} {_TOP}V{_BOTTOM}", CURRENT)
    labels = [(_LEFT, f"{low:.3g}"), (_RIGHT, f"{edges[-1]:.3g}"), (at, f"{median:.3g}")]
    return _svg(drawn + _numbers(_apart(labels)))


def threshold_plot(
    thresholds: Sequence[float],
    kept: Sequence[int],
    *,
    visited: int,
    current: float,
    recommended: float | None = None,
) -> str:
    """Rows kept against the threshold, from 0 to all, with the current and the recommended threshold marked.

    Args:
        thresholds: ascending.
        kept: rows kept at each of them.
        visited: rows compared.
        current: the scope's threshold.
        recommended: the one that its pairs speak for, if they were looked at.
    """
    low, high = thresholds[0], thresholds[-1]
    span = high - low or 1.0
    points = [(_x((t - low) / span), _y(k / max(visited, 1))) for t, k in zip(thresholds, kept, strict=True)]
    now = _x((current - low) / span)
    drawn = _polyline(points) + _line(f"M{now} {_TOP}V{_BOTTOM}", CURRENT)
    if recommended is not None:
        drawn += _line(f"M{_x((recommended - low) / span)} {_TOP}V{_BOTTOM}", RECOMMENDED)
    labels = [(now, f"{current:g}"), (_LEFT, f"{low:g}"), (_RIGHT, f"{high:g}")]
    if recommended is not None:
        labels.insert(1, (_x((recommended - low) / span), f"{recommended:g}"))
    return _svg(drawn + _numbers(_apart(labels)) + _scale(f"{visited:,} rows"))


def rank_plot(
    scores: NDArray[np.float64], marks: Sequence[tuple[int, str]], *, current: int | None = None
) -> str:
    """Score against rank, the ranks on a logarithmic axis, with the ranks that budgets reach marked.

    Args:
        scores: (n,) in rank order; n of 0 gives an empty picture.
        marks: (1-based rank, its label), ascending; the last `_MARKS` of them are drawn.
        current: index of the mark that stands out, from the end as Python counts.
    """
    if not len(scores):
        return _svg("")
    ranks = np.unique(np.geomspace(1, len(scores), _POINTS).round().astype(int))
    top = max(float(scores.max()), 1e-9)
    points = [(_rank_x(rank, len(scores)), _y(max(float(scores[rank - 1]), 0.0) / top)) for rank in ranks]
    drawn = _polyline(points)
    chosen = marks[current] if current is not None and marks else None
    shown = [mark for mark in marks[-_MARKS:] if mark != chosen]
    if shown:
        lines = "".join(f"M{_rank_x(rank, len(scores))} {_TOP}V{_BOTTOM}" for rank, _ in shown)
        drawn += _line(lines, INK)
    labels = [(_rank_x(rank, len(scores)), label) for rank, label in reversed(shown)]
    if chosen:
        at = _rank_x(chosen[0], len(scores))
        drawn += _line(f"M{at} {_TOP}V{_BOTTOM}", CURRENT)
        labels.insert(0, (at, chosen[1]))
    return _svg(drawn + _numbers(_apart([*labels, (_LEFT, "1")])) + _scale(f"{top:.3g}"))


def markdown_image(svg: str, description: str) -> str:
    """Markdown that shows a picture without fetching it from anywhere.

    Args:
        svg: the picture.
        description: for those who cannot see it; brackets would end it and are left out.
    """
    plain = description.translate(str.maketrans("", "", "[]"))
    coded = svg.replace("%", "%25").replace("#", "%23").replace("<", "%3C").replace(">", "%3E")
    return f"![{plain}](<data:image/svg+xml,{coded}>)"


def _svg(drawn: str) -> str:
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {_HEIGHT}' width='{_WIDTH}' "
        f"style='font:11px sans-serif' fill='none'>"
        f"{drawn}<path d='M{_LEFT} {_BOTTOM}H{_RIGHT}' stroke='{INK}'/></svg>"
    )


def _x(share: float) -> int:
    return round(_LEFT + (_RIGHT - _LEFT) * min(max(share, 0.0), 1.0))


def _y(share: float) -> int:
    return round(_BOTTOM - (_BOTTOM - _TOP) * min(max(share, 0.0), 1.0))


def _rank_x(rank: int, n_ranks: int) -> int:
    return _x(float(np.log(rank) / np.log(n_ranks)) if n_ranks > 1 else 0.0)


def _stairs(shares: NDArray[np.float64]) -> str:
    """Path of a histogram whose tallest bin has the share 1."""
    width = (_RIGHT - _LEFT) // _BINS
    bins = groupby(_y(float(share)) for share in shares)  # neighbours of one height are one step
    steps = "".join(f"V{y}h{width * len(list(same))}" for y, same in bins)
    return f"M{_LEFT} {_BOTTOM}{steps}V{_BOTTOM}"


def _polyline(points: Sequence[tuple[int, int]]) -> str:
    """A curve; steps from point to point are shorter to write than places."""
    steps = "".join(
        f"l{bx - ax} {by - ay}" for (ax, ay), (bx, by) in pairwise(points) if (bx, by) != (ax, ay)
    )
    return _line(f"M{points[0][0]} {points[0][1]}{steps}", CURVE, width=2)


def _line(path: str, colour: str, width: float = 1) -> str:
    thick = f" stroke-width='{width}'" if width != 1 else ""
    return f"<path d='{path}' stroke='{colour}'{thick}/>"


def _apart(labels: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """The labels that find room, earlier ones first."""
    placed: list[tuple[int, str]] = []
    for at, text in labels:
        if all(abs(at - other) >= max(_LABEL, 7 * len(text)) for other, _ in placed):
            placed.append((at, text))
    return placed


def _numbers(labels: Sequence[tuple[int, str]]) -> str:
    """Numbers under the axis, each in the middle of its place, and inside the picture at its ends."""
    spans = "".join(f"<tspan x='{min(max(at, 3 * len(text)), _RIGHT - 3 * len(text))}'>{text}</tspan>"
                    for at, text in labels)  # fmt: skip
    return f"<text y='{_HEIGHT - 3}' fill='{INK}' text-anchor='middle'>{spans}</text>"


def _scale(text: str) -> str:
    """What the upper edge stands for; the lower one is 0."""
    return f"<text y='10' fill='{INK}'>{text}</text>"
