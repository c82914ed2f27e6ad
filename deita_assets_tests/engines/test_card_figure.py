"""The figure of a card: every part drawn, for any numbers, on a clear ground."""

import io

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from deita_assets.engines import plots
from deita_assets.engines.card_figure import CardPicture, card_figure, plain_axes

RANDOM = np.random.default_rng(0)
POOL = RANDOM.normal(5, 1, 400)
CURVE = ([0.5, 0.9, 0.99], [10, 80, 100])


def picture(**more):
    shown = {
        "scores": {"evol_score": (POOL, POOL[POOL > 5]), "quality": (POOL, POOL[:50])},
        "similarities": RANDOM.uniform(0.2, 1.0, 300), "threshold": 0.9, "curve": None, "visited": 100,
        "mix": [("a", 0.7, 0.5), ("b", 0.3, 0.5)],
    }  # fmt: skip
    return CardPicture(**(shown | more))


def pixels(png):
    image = pytest.importorskip("PIL.Image")
    return np.asarray(image.open(io.BytesIO(png)).convert("RGBA")).astype(float)


def drawn(seen, colour):
    rgb = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return int(((np.abs(seen[..., :3] - rgb).max(axis=-1) < 8) & (seen[..., 3] > 200)).sum())


def test_the_ground_is_clear_and_every_part_is_drawn():
    png = card_figure(picture())
    seen = pixels(png)
    assert (seen[..., 3] == 0).mean() > 0.6
    assert len(png) < 150_000
    assert card_figure(picture(similarities=picture().similarities)).startswith(b"\x89PNG")
    for colour in (plots.INK, plots.CURVE, plots.CURRENT):
        assert drawn(seen, colour) > 100, colour
    lower = seen[seen.shape[0] // 2 :]
    assert drawn(lower[:, : lower.shape[1] // 2], plots.CURRENT) > 50  # the threshold, below on the left
    assert drawn(lower[:, lower.shape[1] // 2 :], plots.CURVE) > 500  # bars of the mix


def test_equal_numbers_give_equal_pictures_and_others_do_not():
    same = picture()
    assert card_figure(same) == card_figure(same)
    assert card_figure(same) != card_figure(picture(curve=CURVE, similarities=same.similarities))


@pytest.mark.parametrize(
    "odd",
    [
        {"scores": {}},
        {"scores": {"evol_score": (np.full(3, 2.0), np.full(1, 2.0))}},
        {"scores": {"evol_score": (np.array([1.0, np.nan]), np.array([np.nan]))}},
        {"similarities": np.array([]), "threshold": None},
        {"similarities": np.array([-0.4, 1.0000001])},
        {"curve": ([0.5], [0]), "visited": 0},
        {"mix": [(f"$a_{at}$ <b>" + "x" * 60, 0.1, 0.1) for at in range(20)]},
        {"mix": []},
    ],
)
def test_any_numbers_and_names_can_be_drawn(odd):
    assert card_figure(picture(**odd)).startswith(b"\x89PNG")


@pytest.mark.parametrize("along_x", [False, True])
@pytest.mark.parametrize("most", [0.125, 0.7, 0.004])
def test_every_tick_of_shares_says_its_own_number(most, along_x):
    figure = Figure()
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set(xlim=(0, most), ylim=(0, most))
    plain_axes(axes, percent=not along_x, percent_x=along_x)
    figure.canvas.draw()
    axis = axes.xaxis if along_x else axes.yaxis
    for place, label in zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=True):
        assert float(label.get_text().rstrip("%")) / 100 == pytest.approx(place, abs=1e-9)
