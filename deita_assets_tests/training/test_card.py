"""The shipped card and the page on scorers show the figures that were measured, all of them."""

import json
from pathlib import Path

import pytest

from deita_assets.scorers.distilled.head import load_head
from deita_assets.training.build import PACKAGED
from deita_assets.training.card import card, figures_table
from deita_assets.training.graded_set import packaged_set, read_graded_set, set_sha256, split

PAGE = Path(__file__).parents[2] / "docs" / "scorers.md"


@pytest.mark.parametrize("measure", ["complexity", "quality"])
def test_every_figure_stands_in_the_card_and_on_the_page(measure):
    rows = json.loads((PACKAGED / f"{measure}.evaluation.json").read_text(encoding="utf-8"))
    assert {row["set"] for row in rows} >= {"flask" if measure == "complexity" else "autoj_pairs"}
    shown = figures_table(rows).strip()
    assert shown in PAGE.read_text(encoding="utf-8")
    assert shown in (PACKAGED / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_the_card_is_that_of_the_shipped_heads():
    assert (PACKAGED / "MODEL_CARD.md").read_text(encoding="utf-8") == card(PACKAGED)


@pytest.mark.parametrize("measure", ["complexity", "quality"])
def test_the_shipped_heads_were_trained_on_the_shipped_set(measure):
    head, _ = load_head(PACKAGED / f"{measure}.safetensors")
    learnt, _ = split(read_graded_set(packaged_set(measure), measure))
    assert head.about["graded_set_sha256"] == set_sha256(learnt)
    assert head.about["n_texts"] == len(learnt)


@pytest.mark.slow
@pytest.mark.long
def test_the_build_command_makes_the_shipped_complexity_head_again(capsys):
    """Within rounding: the encoder's states differ in their last digits between processors."""
    import numpy as np

    from deita_assets.training.build import build_head, packaged_encoder
    from deita_assets.training.examples import featured

    encoder = packaged_encoder()
    learnt, _ = split(read_graded_set(packaged_set("complexity"), "complexity"))
    built = build_head("complexity", featured("complexity", learnt, encoder), encoder)
    shipped, _ = load_head(PACKAGED / "complexity.safetensors")
    assert built.about["options"] == shipped.about["options"]
    np.testing.assert_allclose(built.weights, shipped.weights, atol=2e-3)
