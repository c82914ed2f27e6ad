"""Pictures for the UI: well-formed, small enough to be shown in place, the same every time, true to their numbers."""

import re
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.core.calibration import threshold_grid
from deita_assets.engines import plots
from deita_assets.engines.plots import SHOWN_IN_PLACE, histogram, markdown_image, rank_plot, threshold_plot

#: Room for the words around a picture.
WORDS = 200
GRID = threshold_grid(0.9)
SVG = "{http://www.w3.org/2000/svg}"


def paths(svg, colour):
    """Paths drawn in a colour, as lists of absolute points; understands what this module writes."""
    found = []
    for path in ElementTree.fromstring(svg).iter(f"{SVG}path"):
        if colour in (path.get("stroke"), path.get("fill")):
            found.append(points(path.get("d")))
    return found


def points(written):
    at, out = [0.0, 0.0], []
    for command, numbers in re.findall(r"([MVHhl])([-\d. ]*)", written):
        values = [float(one) for one in re.findall(r"-?\d+(?:\.\d+)?", numbers)]
        if command == "M":
            at = values
        elif command == "V":
            at = [at[0], values[0]]
        elif command == "H":
            at = [values[0], at[1]]
        elif command == "h":
            at = [at[0] + values[0], at[1]]
        else:
            at = [at[0] + values[0], at[1] + values[1]]
        out.append(tuple(at))
    return out


def words(svg):
    return [one.text for one in ElementTree.fromstring(svg).iter() if one.text and one.text.strip()]


def fits(svg):
    return len(markdown_image(svg, "d")) + WORDS < SHOWN_IN_PLACE


def luminance(colour):
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(colour) / 255]
    return 0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]


def contrast(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_colour_stands_out_on_white_and_on_the_dark_ground():
    for colour in (plots.CURVE, plots.CURRENT, plots.RECOMMENDED, plots.INK):
        rgb = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
        for ground in ((255, 255, 255), (3, 6, 21)):
            assert contrast(rgb, ground) >= 3, (colour, ground)


@settings(max_examples=40)
@given(st.lists(st.floats(-1e6, 1e6), max_size=60), st.integers(0, 60))
def test_any_histogram_is_well_formed_and_is_shown_in_place(values, chosen):
    pool = np.array(values)
    drawn = histogram(pool, pool[:chosen])
    assert fits(drawn)
    ElementTree.fromstring(drawn)
    assert histogram(pool, pool[:chosen]) == drawn


def test_the_bars_of_a_histogram_are_its_counts():
    values = np.concatenate([np.full(30, 0.0), np.full(60, 12.0), np.full(15, 24.0)])
    (bars,) = paths(histogram(values), plots.CURVE)
    assert [(x, 114 - y) for x, y in bars[1:]] == [
        (2, 50), (19, 50), (19, 0), (206, 0), (206, 100), (223, 100), (223, 0), (393, 0), (393, 25), (410, 25), (410, 0)
    ]  # fmt: skip
    (median,) = paths(histogram(values), plots.CURRENT)
    assert {x for x, _ in median} == {206}  # 12 is the middle of 0 to 24
    assert "12" in words(histogram(values))


def test_a_selection_is_drawn_over_its_pool_to_its_own_share():
    pool = np.repeat(np.arange(24.0), 10)
    drawn = histogram(pool, pool[-20:])
    outline = next(one for one in paths(drawn, plots.CURVE))
    grey = next(one for one in paths(drawn, plots.INK) if len(one) > 2)
    assert max(114 - y for _, y in outline) == 100  # two bins of a half each
    assert max(114 - y for _, y in grey) == pytest.approx(100 / 24 * 2, abs=1)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 10**7), min_size=len(GRID), max_size=len(GRID)), st.sampled_from(GRID))
def test_any_curve_is_well_formed_and_is_shown_in_place(kept, recommended):
    drawn = threshold_plot(GRID, sorted(kept), visited=10**7, current=0.9, recommended=recommended)
    assert fits(drawn)
    ElementTree.fromstring(drawn)


def test_a_curve_goes_through_its_points():
    drawn = threshold_plot([0.5, 0.75, 1.0], [0, 50, 100], visited=100, current=0.75)
    assert [(x, y) for x, y in paths(drawn, plots.CURVE)[0]] == [(2, 114), (206, 64), (410, 14)]
    assert {x for x, _ in paths(drawn, plots.CURRENT)[0]} == {206}
    assert paths(drawn, plots.RECOMMENDED) == []
    assert "100 rows" in words(drawn)
    both = threshold_plot([0.5, 0.75, 1.0], [0, 50, 100], visited=100, current=0.75, recommended=0.5)
    assert {x for x, _ in paths(both, plots.RECOMMENDED)[0]} == {2}


def test_no_rows_and_a_single_threshold_can_be_drawn():
    assert fits(threshold_plot([0.5], [0], visited=0, current=0.5, recommended=0.5))
    assert fits(histogram(np.empty(0)))
    assert fits(rank_plot(np.empty(0), []))


@settings(max_examples=40)
@given(
    st.lists(st.floats(0, 1e9), min_size=1, max_size=300),
    st.lists(st.integers(1, 300), max_size=12),
    st.booleans(),
)
def test_any_ranking_is_well_formed_and_is_shown_in_place(scores, ranks, is_marked):
    marks = [(min(rank, len(scores)), f"{rank * 10**6:,}") for rank in sorted(set(ranks))]
    drawn = rank_plot(np.sort(scores)[::-1], marks, current=0 if is_marked and marks else None)
    assert fits(drawn)
    ElementTree.fromstring(drawn)


def test_a_ranking_falls_from_its_best_score_and_marks_its_budgets():
    scores = np.linspace(50, 25, 1000)
    drawn = rank_plot(scores, [(10, "10"), (100, "90")], current=1)
    curve = paths(drawn, plots.CURVE)[0]
    assert (curve[0], curve[-1]) == ((2, 14), (410, 64))  # the last score is half of the first
    assert all(a[1] <= b[1] for a, b in zip(curve, curve[1:], strict=False))
    (other,) = [one for one in paths(drawn, plots.INK) if len({x for x, _ in one}) == 1]
    assert {x for x, _ in other} == {138}  # 10 of 1,000: a third of the way on a logarithmic axis
    assert {x for x, _ in paths(drawn, plots.CURRENT)[0]} == {274}
    assert {"10", "90", "50"} <= set(words(drawn))


def test_labels_never_stand_on_each_other():
    marks = [(rank, f"{rank:,}") for rank in (1000, 1010, 1020, 2000)]
    drawn = ElementTree.fromstring(rank_plot(np.linspace(9, 1, 5000), marks))
    places = sorted(float(one.get("x")) for one in drawn.iter(f"{SVG}tspan"))
    assert len(places) >= 2
    assert min(b - a for a, b in zip(places, places[1:], strict=False)) >= 30


def test_markdown_carries_the_picture_itself():
    drawn = threshold_plot([0.5, 0.9], [1, 2], visited=2, current=0.9)
    text = markdown_image(drawn, "rows [kept] of 5")
    found = re.fullmatch(r"!\[rows kept of 5\]\(<data:image/svg\+xml,([^<>]+)>\)", text)
    assert found is not None
    assert unquote(found[1]) == drawn


def test_paths_are_understood_by_the_tests():
    assert points("M1 2l3 4h5V9H0") == [(1, 2), (4, 6), (9, 6), (9, 9), (0, 9)]
