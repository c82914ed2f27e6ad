"""The plot of a calibration as a picture: there, small, the same every time, and readable on any ground."""

import base64
import io
import re

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from deita_assets.engines import plots
from deita_assets.engines.plots import markdown_image, threshold_plot

GRID = [0.5, 0.7, 0.9, 0.99]


def pixels(png):
    image = pytest.importorskip("PIL.Image")
    return np.asarray(image.open(io.BytesIO(png)).convert("RGBA")).astype(float)


def luminance(colour):
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(colour) / 255]
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def drawn():
    return threshold_plot(GRID, [10, 40, 90, 100], visited=100, current=0.9, recommended=0.7)


def test_it_is_a_small_png_and_the_same_every_time():
    png = drawn()
    assert png.startswith(b"\x89PNG")
    assert len(png) < 60_000
    assert drawn() == png
    assert threshold_plot(GRID, [10, 40, 90, 99], visited=100, current=0.9, recommended=0.7) != png


def test_the_ground_is_clear_and_both_thresholds_are_drawn():
    seen = pixels(drawn())
    assert (seen[..., 3] == 0).mean() > 0.8
    for colour in (plots.CURVE, plots.CURRENT, plots.RECOMMENDED, plots.INK):
        rgb = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
        assert ((np.abs(seen[..., :3] - rgb).max(axis=-1) < 8) & (seen[..., 3] > 200)).sum() > 50, colour


def test_every_colour_stands_out_on_white_and_on_the_dark_ground():
    for colour in (plots.CURVE, plots.CURRENT, plots.RECOMMENDED, plots.INK):
        rgb = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
        for ground in ((255, 255, 255), (14, 17, 23)):
            assert contrast(rgb, ground) >= 3, (colour, ground)


def test_no_rows_can_be_drawn():
    assert threshold_plot([0.5], [0], visited=0, current=0.5, recommended=0.5).startswith(b"\x89PNG")


def test_markdown_carries_the_picture_itself():
    text = markdown_image(b"\x89PNG...", "rows [kept] of 5")
    found = re.fullmatch(r"!\[rows kept of 5\]\(data:image/png;base64,([A-Za-z0-9+/=]+)\)", text)
    assert base64.b64decode(found[1]) == b"\x89PNG..."


@pytest.mark.parametrize("along_x", [False, True])
@pytest.mark.parametrize("most", [0.125, 0.7, 0.004])
def test_every_tick_of_shares_says_its_own_number(most, along_x):
    figure = Figure()
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(xlim=(0, most), ylim=(0, most))
    plots.plain_axes(axes, percent=not along_x, percent_x=along_x)
    figure.canvas.draw()
    axis = axes.xaxis if along_x else axes.yaxis
    for place, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True):
        assert float(label.get_text().rstrip("%")) / 100 == pytest.approx(place, abs=1e-9)
