"""Plots that Dagster shows inside Markdown: small pictures, readable on light and dark grounds.

What belongs here: drawing, and wrapping a picture as Markdown. What does not: what is drawn. matplotlib loads on use.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Middle tones: each has a contrast of 3 : 1 or more with white and with the UI's dark ground.
INK, CURVE, CURRENT, RECOMMENDED = "#808894", "#3d85d9", "#c87f0a", "#2e9e5b"
_INCHES, _DPI = (7.2, 3.2), 110


def threshold_plot(
    thresholds: Sequence[float], kept: Sequence[int], *, visited: int, current: float, recommended: float
) -> bytes:
    """Kept rows against the threshold, with the current and the recommended threshold marked.

    Args:
        thresholds: ascending.
        kept: rows kept at each of them.
        visited: rows compared.
        current: the scope's threshold.
        recommended: the one that its pairs speak for.

    Returns:
        A PNG with a transparent ground; equal numbers give equal bytes.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(thresholds, kept, color=CURVE, linewidth=2, marker="o", markersize=3)
    axes.axvline(current, color=CURRENT, linewidth=1.6, linestyle="--", label=f"current {current:g}")
    axes.axvline(recommended, color=RECOMMENDED, linewidth=1.6, label=f"recommended {recommended:g}")
    axes.set_ylim(0, max(visited, 1) * 1.04)
    axes.set_xlabel("similarity threshold")
    axes.set_ylabel(f"kept of {visited:,} rows")
    plain_axes(axes)
    out = io.BytesIO()
    figure.savefig(out, format="png", transparent=True, metadata={"Software": None})
    return out.getvalue()


def markdown_image(png: bytes, description: str) -> str:
    """Markdown that shows a picture without fetching it from anywhere.

    Args:
        png: the picture.
        description: for those who cannot see it; brackets would end it and are left out.
    """
    plain = description.translate(str.maketrans("", "", "[]"))
    return f"![{plain}](data:image/png;base64,{base64.b64encode(png).decode('ascii')})"


def plain_axes(axes: Axes, *, percent: bool = False, percent_x: bool = False) -> None:
    """One grey for all text and lines; only the axes that carry numbers.

    Args:
        axes: drawn already.
        percent: the values are shares.
        percent_x: the values are shares and stand along x, names along y.
    """
    axes.tick_params(colors=INK)
    values = axes.xaxis if percent_x else axes.yaxis
    shares = percent or percent_x
    # As many decimals as a tick needs: 2.5 % is not 2 %.
    values.set_major_formatter(lambda value, _: f"{100 * value:.4g}%" if shares else f"{value:,.0f}")
    axes.grid(axis="x" if percent_x else "y", color=INK, alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(INK)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(INK)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, labelcolor=INK, loc="best" if percent or percent_x else "upper left")
