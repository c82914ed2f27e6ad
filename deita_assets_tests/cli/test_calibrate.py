"""`deita-assets calibrate`, as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deita_assets_tests.cli.commands import TEA, deita, write_jsonl

HEURISTIC = {"DEITA_SCORER__NAME": "heuristic"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calibrate")
    assert deita(folder / "home", "add", "tea", str(write_jsonl(folder / "tea.jsonl", TEA))).code == 0
    return folder / "home"


@pytest.mark.slow
def test_it_scores_what_is_not_scored_and_tells_the_curve_and_the_pairs(home: Path) -> None:
    done = deita(home, "calibrate", "tea", **HEURISTIC)
    assert done.code == 0, done.err
    assert "embeddings -> scored_pool[tea]" in done.err
    assert "tea: 4 rows compared (all)" in done.out
    (current,) = (line for line in done.out.splitlines() if line.startswith("   0.9000"))
    assert current.split()[1:3] == ["3", "25.0%"]
    assert "current" in current
    assert done.out.index("kept at 0.9") < done.out.index("dropped at 0.9") < done.out.index("recommended: ")
    dropped = done.out[done.out.index("dropped at 0.9") :]
    assert "How long should I steep green tea" in dropped
    assert "\n  0.9" in dropped


def test_json_has_the_whole_result_and_how_to_keep_another_threshold(home: Path) -> None:
    (home / "deita.toml").write_text("[mixtures.all]\nthreshold = 0.6\n", encoding="utf-8")
    done = deita(home, "--json", "calibrate", "all", "--rows", "3", **HEURISTIC)
    assert done.code == 0, done.err
    found = done.document
    assert (found["scope_kind"], found["scope"], found["threshold"]) == ("mixture", "all", 0.6)
    assert (found["visited"], found["selectable"]) == (3, 4)
    assert {point["threshold"] for point in found["curve"]} >= {0.5, 0.6, 0.9, 0.99}
    assert found["recommendation"]["threshold"] == 0.9  # too few pairs: the embedder's own
    named = {
        name for pair in found["below"] + found["above"] for name in (pair["sample_id"], pair["nearest"])
    }
    assert set(found["texts"]) == named
    told = deita(home, "calibrate", "all", "--rows", "3", **HEURISTIC).out
    assert "recommended: 0.9 (now 0.6)" in told
    assert "deita-assets curate --mixture all --budget N --threshold 0.9" in told
    assert "[mixtures.all]\n    threshold = 0.9" in told


def test_unknown_scopes_and_wrong_numbers_are_refused(home: Path) -> None:
    done = deita(home, "calibrate", "coffee", "--json")
    assert (done.code, done.document["error"]) == (1, "NotFoundError")
    assert "coffee" in done.document["message"]
    assert deita(home, "calibrate", "tea", "--rows", "1").code == 2
