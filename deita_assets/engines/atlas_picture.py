"""The map of a pool as a picture, readable on light and dark grounds.

What belongs here: drawing it. What does not: what is drawn. matplotlib loads on use.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.verdicts import (
    CONTAMINATED,
    EXCLUDED,
    INVALID,
    KEPT,
    NEAR_DUPLICATE,
    OVER_QUOTA,
    UNSCORED,
)

#: Verdict -> colour, in the order of drawing: what is first lies lowest. Middle tones, 3 : 1 or more on white and dark.
#: A near-duplicate lies where its kept row does, and is drawn on top of it, smaller.
_COLOURS = {
    "beyond_budget": "#9aa1ab",
    "unvisited": "#9aa1ab",
    KEPT: "#3d85d9",
    EXCLUDED: "#8a6bd1",
    OVER_QUOTA: "#17929b",
    UNSCORED: "#a0703c",
    INVALID: "#a0703c",
    NEAR_DUPLICATE: "#d98a00",
    CONTAMINATED: "#d6455d",
}
#: Rows that were not chosen, though nothing is wrong with them.
_PALE = ("beyond_budget", "unvisited")
_INK = "#808894"
_INCHES, _DPI = (9.0, 7.2), 130


def draw(xy: NDArray[np.float32], verdicts: Sequence[str], caption: str) -> bytes:
    """A dot for each row, coloured by its verdict: kept rows are the largest, rows that were not needed are pale.

    Args:
        xy: (n, 2) places.
        verdicts: (n,).
        caption: printed below.

    Returns:
        A PNG with a transparent ground; equal rows give equal bytes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    found = np.array(verdicts, dtype=object)
    size = float(np.clip(60_000 / max(len(found), 1), 2.0, 24.0))  # square points: a crowd needs small ones
    handles = []
    for verdict in sorted(set(verdicts), key=_height):
        at = np.flatnonzero(found == verdict)
        colour, alpha, times = _style(verdict)
        axes.scatter(xy[at, 0], xy[at, 1], s=size * times, color=colour, alpha=alpha, linewidths=0)
        handle = Line2D([], [], marker="o", linestyle="", markersize=6, color=colour)
        handle.set_alpha(min(1.0, alpha + 0.2))
        handle.set_label(f"{verdict} ({len(at):,})")
        handles.append(handle)
    axes.set_axis_off()
    axes.set_aspect("equal", adjustable="datalim")
    if handles:
        columns = min(4, len(handles))
        figure.legend(
            handles=handles[::-1], loc="outside upper center", ncols=columns, frameon=False, labelcolor=_INK
        )
    figure.supxlabel(caption, color=_INK, fontsize=9)
    out = io.BytesIO()
    figure.savefig(out, format="png", transparent=True, metadata={"Software": None})
    return out.getvalue()


def _height(verdict: str) -> tuple[int, str]:
    """Where in the order of drawing a verdict comes."""
    order = list(_COLOURS)
    return (order.index(verdict) if verdict in order else len(order), verdict)


def _style(verdict: str) -> tuple[str, float, float]:
    """Colour, opacity, and area of a dot, times that of a pale one."""
    colour = _COLOURS.get(verdict, _INK)
    if verdict in _PALE:
        return colour, 0.28, 1.0
    return colour, 0.8, 3.0 if verdict == KEPT else 2.0
