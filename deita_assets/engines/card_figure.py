"""The figure of a dataset card: scores, similarities and sources of what was selected, against the pool.

What belongs here: drawing, on a clear ground in colours that stand out on white and on black. What does not: what is
drawn. matplotlib loads on use.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deita_assets.engines.plots import CURRENT, CURVE, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INCHES, _DPI = (10.0, 5.6), 100
_BINS = 32
#: Sources drawn each on its own; the others are added up.
_SOURCES = 8


@dataclass(frozen=True)
class CardPicture:
    """What the figure of a card shows.

    Attributes:
        scores: name -> (values over the pool, values over what was selected); NaN is left out.
        similarities: of compared rows to the nearest row kept before them.
        threshold: of the selection; None where nothing was compared.
        curve: (thresholds, kept rows) of a calibration, drawn in the place of the similarities.
        visited: rows that the calibration compared.
        mix: (source, share of the pool, share of the selection), greatest share of the pool first.
    """

    scores: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    similarities: NDArray[np.float64]
    threshold: float | None
    curve: tuple[Sequence[float], Sequence[int]] | None
    visited: int
    mix: Sequence[tuple[str, float, float]]


def card_figure(shown: CardPicture) -> bytes:
    """A PNG with a clear ground; equal numbers give equal bytes under one version of matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=_INCHES, dpi=_DPI)
    FigureCanvasAgg(figure)
    # Places by hand: matplotlib's own layout draws everything twice.
    width = 1 / max(len(shown.scores), 1)
    for at, (name, (pool, selected)) in enumerate(shown.scores.items()):
        _scores(figure.add_axes((at * width + 0.08, 0.6, width - 0.09, 0.38)), name, pool, selected)
    _threshold(figure.add_axes((0.08, 0.09, 0.37, 0.39)), shown)
    _mix(figure.add_axes((0.64, 0.09, 0.35, 0.39)), shown.mix)
    out = io.BytesIO()
    figure.savefig(out, format="png", transparent=True, metadata={"Software": None})
    return out.getvalue()


def _scores(axes: Axes, name: str, pool: NDArray[np.float64], selected: NDArray[np.float64]) -> None:
    """Shares of the pool and of the selection in equal bins; the longest 0.5 % of a tail stand in the last one."""
    pool, selected = pool[np.isfinite(pool)], selected[np.isfinite(selected)]
    if len(pool):
        low, high = float(pool.min()), float(np.quantile(pool, 0.995))
        edges = np.linspace(low, high if high > low else low + 1.0, _BINS + 1)
        for values, colour, label, filled in (
            (pool, INK, "pool", True),
            (selected, CURVE, "selected", False),
        ):
            if len(values):
                counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
                axes.stairs(counts / len(values), edges, color=colour, label=label, fill=filled,
                            alpha=0.45 if filled else 1, linewidth=1.8)  # fmt: skip
    axes.set_xlabel(name)
    axes.set_ylabel("share of rows")
    plain_axes(axes, percent=True)


def _threshold(axes: Axes, shown: CardPicture) -> None:
    if shown.curve:
        thresholds, kept = shown.curve
        axes.plot(thresholds, kept, color=CURVE, linewidth=2, marker="o", markersize=3)
        axes.set_ylim(0, max(shown.visited, 1) * 1.04)
        axes.set_xlabel("similarity threshold")
        axes.set_ylabel(f"kept of {shown.visited:,} rows")
    else:
        low = float(np.floor(shown.similarities.min() * 10) / 10) if len(shown.similarities) else 0.0
        axes.hist(
            np.clip(shown.similarities, low, 1.0), np.linspace(low, 1.0, 2 * _BINS + 1).tolist(), color=CURVE
        )
        axes.set_xlabel("similarity to the nearest row kept before")
        axes.set_ylabel("rows compared")
    if shown.threshold is not None:
        axes.axvline(
            shown.threshold,
            color=CURRENT,
            linewidth=1.6,
            linestyle="--",
            label=f"threshold {shown.threshold:g}",
        )
    plain_axes(axes)


def _mix(axes: Axes, mix: Sequence[tuple[str, float, float]]) -> None:
    rows: list[Any] = list(mix[:_SOURCES])
    if rest := mix[_SOURCES:]:
        rows.append((f"{len(rest)} others", sum(one[1] for one in rest), sum(one[2] for one in rest)))
    places = np.arange(len(rows))
    axes.barh(places - 0.2, [row[1] for row in rows], 0.36, color=INK, alpha=0.45, label="pool")
    axes.barh(places + 0.2, [row[2] for row in rows], 0.36, color=CURVE, label="selected")
    # Names are text: a dollar sign begins no formula.
    axes.set_yticks(places, [_short(row[0]) for row in rows], parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("share of rows")
    plain_axes(axes, percent_x=True)


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"


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
