"""What a published subset says of itself: the card, its figure, and the refusal of unknown licences."""

import json
import re
import shutil

import numpy as np
import pytest

from deita_assets.engines.calibrate import calibrate
from deita_assets.engines.cut import cut_subset
from deita_assets.engines.parameters import SelectionParameters
from deita_assets.errors import DeitaError
from deita_assets.stores.home import Home
from deita_assets.stores.ledgers import Scope
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.conftest import Landing
from deita_assets_tests.engines.scopes import Scoped

SCORES = [7.0, 6.0, 5.0, 4.0, 3.0, 6.5, 5.5]


@pytest.fixture(scope="module")
def template(tmp_path_factory, migrated):
    """Five rows of different directions, each after a better one that two others nearly repeat."""
    home = Home(tmp_path_factory.mktemp("cards")).create()
    shutil.copyfile(migrated, home.warehouse)
    made = Scoped(Warehouse(home), Landing(home))
    vectors = np.vstack([np.eye(5), np.eye(5)[:2] + 0.01])
    texts = [*(f"question {n}" for n in range(5)), "question 0 again", "question 1 again"]
    made.source(
        "s", {text: (score, vectors[at]) for at, (text, score) in enumerate(zip(texts, SCORES, strict=True))}
    )
    made.ledger("s")
    return made


@pytest.fixture
def scoped(template, tmp_path):
    return template.copied(tmp_path)


def cut(scoped, budget=5, **options):
    return cut_subset(scoped.warehouse, scoped.ledger("s"), budget, provenance={}, **options)


def card(done):
    return (done.directory / "README.md").read_text(encoding="utf-8")


def licence(scoped, text):
    with scoped.warehouse.write("licence") as con:
        con.execute("update store.source set licence = ?", [text])


def section(text, heading):
    return text.split(f"## {heading}\n")[1].split("\n## ")[0]


def test_scores_of_the_pool_and_of_the_selection_are_told(scoped):
    told = section(card(cut(scoped, 2)), "Scores")
    rows = {
        line.split("|")[1].strip(): line.split("|")[2:-1] for line in told.splitlines() if "," in line[:30]
    }
    numbers = {name: [float(cell) for cell in row] for name, row in rows.items()}
    assert numbers["evol_score, pool"] == pytest.approx(np.percentile(SCORES, [5, 25, 50, 75, 95]), abs=0.006)
    assert numbers["evol_score, selected"] == pytest.approx(
        np.percentile([6, 7], [5, 25, 50, 75, 95]), abs=0.006
    )
    assert set(numbers) == {
        f"{n}, {w}" for n in ("evol_score", "complexity", "quality") for w in ("pool", "selected")
    }


def test_near_duplicates_up_to_the_budget_are_shown_side_by_side(scoped):
    assert "Near-duplicates" not in card(cut(scoped, 1, show_rows=True))  # they come after the only kept row
    told = section(card(cut(scoped, 2, show_rows=True)), "Near-duplicates")
    assert re.search(r"\| 0\.99\d\d \| question 0 again \(s:\w{32}\) \| question 0 \(s:\w{32}\) \|", told)
    assert "question 1 again" not in told
    assert "question 1 again" in card(cut(scoped, 3, show_rows=True))


def test_examples_are_shown_only_where_rows_may_be_shown(scoped):
    told = card(cut(scoped, 5))
    assert "question" not in told
    assert "Near-duplicates" not in told


def test_rows_that_were_taken_down_are_no_examples(scoped):
    with scoped.warehouse.write("take down") as con:
        con.execute(
            "insert into store.takedown (sample_id, reason, taken_at) select sample_id, 'x', now() from store.turn "
            "where instruction in ('question 0', 'question 1 again')"
        )
    assert "question" not in card(cut(scoped, 4, show_rows=True))


def test_similarities_are_told_until_the_scope_is_calibrated(scoped):
    before = section(card(cut(scoped, 5)), "Similarity to the nearest better row")
    assert "the 6 rows that were compared" in before  # all but the first, which has nothing before it
    scope = Scope("source", "s", ("s",))
    found = calibrate(scoped.warehouse, scope, SelectionParameters(0.9), default=0.9, rows=100)
    shutil.rmtree(scoped.home.subsets)
    after = section(card(cut(scoped, 5)), "Threshold")
    assert found.calibration_id in after
    kept = next(point.kept for point in found.curve if point.threshold == 0.9)
    assert f"| **0.9** | {kept} | {1 - kept / 7:.1%} |" in after
    scoped.source("s", {"fresh": (3.5, np.ones(5))})
    assert "Threshold" not in card(cut(scoped, 5))  # of another pool


def test_what_could_not_be_read_is_told_as_of_the_pool_that_was_selected_from(scoped):
    scoped.ingest(
        "s",
        [{"messages": "none"}, {"messages": "none"}, {"instruction": "x", "output": ""}],
        name="bad.jsonl",
    )
    ledger = scoped.ledger("s")
    done = cut_subset(scoped.warehouse, ledger, 3, provenance={})
    told = [line for line in section(card(done), "Quarantine").splitlines() if line.startswith("| s |")]
    counts = dict(scoped.query("select reason, count(*) from store.quarantine group by 1"))
    assert sum(counts.values()) == 3
    assert {line.split("|")[2].strip(): int(line.split("|")[3]) for line in told} == counts


def test_the_figure_is_a_small_picture_on_a_clear_ground_and_pinned_by_the_manifest(scoped):
    done = cut(scoped)
    png = (done.directory / "card.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert len(png) < 150_000
    files = json.loads((done.directory / "manifest.json").read_text())["files"]
    assert "card.png" in files
    assert "](card.png)" in card(done)


def test_equal_stores_give_equal_cards_and_pictures(scoped):
    first = cut(scoped)
    seen = {
        name: (first.directory / name).read_bytes() for name in ("README.md", "card.png", "manifest.json")
    }
    shutil.rmtree(scoped.home.subsets)
    again = cut(scoped)
    assert {name: (again.directory / name).read_bytes() for name in seen} == seen


def test_an_empty_selection_has_a_card_and_no_picture(scoped):
    scoped.source("t", {"long": (None, np.ones(5))})
    done = cut_subset(scoped.warehouse, scoped.ledger("t"), 10, provenance={}, show_rows=True)
    assert not (done.directory / "card.png").exists()
    assert "card.png" not in card(done)
    assert done.unknown_licences == []


def test_the_content_of_a_version_does_not_depend_on_what_its_card_shows(scoped):
    plain = cut(scoped, 4)
    lines = (plain.directory / "train.jsonl").read_bytes()
    shutil.rmtree(scoped.home.subsets)
    licence(scoped, "MIT")
    shown = cut(scoped, 4, show_rows=True, require_licence=True)
    assert shown.selection.version == plain.selection.version
    assert (shown.directory / "train.jsonl").read_bytes() == lines


def test_an_unknown_licence_is_a_warning_or_a_refusal(scoped):
    done = cut(scoped, 3)
    assert done.unknown_licences == ["s"]
    assert "Licence unknown: s." in card(done)
    before = scoped.query("select * from store.selection")
    with pytest.raises(DeitaError, match="licence unknown: s") as caught:
        cut(scoped, 4, require_licence=True)
    assert '[sources.s] licence = "' in caught.value.cure
    assert scoped.query("select * from store.selection") == before
    assert sorted(path.name for path in (scoped.home.subsets / "source" / "s").iterdir()) == ["3"]
    licence(scoped, "MIT")
    assert cut(scoped, 4, require_licence=True).unknown_licences == []
