"""The production path: a causal LM named in `deita.toml` scores a source through the graph, beside other scorers."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from deita_assets import DeitaScorer
from deita_assets_tests.cli.commands import TEA, deita, write_jsonl
from deita_assets_tests.scorers.tiny_models import save_llama, save_tokenizer


@pytest.mark.slow
def test_a_language_model_in_the_settings_scores_the_pool(tmp_path: Path) -> None:
    home = tmp_path / "home"
    model = save_tokenizer(save_llama(tmp_path / "llama"))
    assert deita(home, "add", "tea", str(write_jsonl(tmp_path / "tea.jsonl", TEA))).code == 0
    heuristic = deita(home, "curate", "--source", "tea", "--budget", "2", "--json")
    assert heuristic.code == 0, heuristic.err

    (home / "deita.toml").write_text(
        f'[scorer]\nname = "deita"\ncomplexity_model = "{model}"\nquality_model = "{model}"\n',
        encoding="utf-8",
    )
    stale = deita(home, "curate", "--source", "tea", "--budget", "2", "--dry-run", "--json").document["stale"]
    assert stale["tea"] == ["complexity_scores", "quality_scores", "scored_pool", "selection_ledger"]
    done = deita(home, "curate", "--source", "tea", "--budget", "2", "--json")
    assert done.code == 0, done.err
    assert done.document["selections"] != heuristic.document["selections"]

    rows = deita(
        home,
        "sql",
        "select t.instruction, t.response, s.measure, s.scorer, s.score, s.status from scores s "
        "join turns t on t.sample_id = s.sample_id and t.turn = s.turn order by all",
        "--json",
    ).document
    assert len(rows) == 8
    for measure in ("complexity", "quality"):
        scorer = DeitaScorer(model, measure)
        mine = [row for row in rows if row["measure"] == measure]
        assert {row["scorer"] for row in mine} == {scorer.fingerprint.digest}
        expected, statuses = scorer.score_turns([(row["instruction"], row["response"]) for row in mine])
        assert [row["status"] for row in mine] == statuses == ["ok"] * 4
        assert all(math.isclose(row["score"], e, abs_tol=1e-5) for row, e in zip(mine, expected, strict=True))

    (home / "deita.toml").unlink()
    back = deita(home, "curate", "--source", "tea", "--budget", "2", "--json")
    assert back.code == 0, back.err
    assert back.document["selections"] == heuristic.document["selections"], (
        "the first version again, nothing new"
    )


def test_a_scorer_that_cannot_be_found_says_so_before_a_row_is_touched(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert deita(home, "add", "tea", str(write_jsonl(tmp_path / "tea.jsonl", TEA))).code == 0
    (home / "deita.toml").write_text(
        '[scorer]\nname = "deita"\ncomplexity_model = "/nowhere"\nquality_model = "/nowhere"\n',
        encoding="utf-8",
    )
    done = deita(home, "curate", "--source", "tea", "--budget", "2", "--json")
    assert done.code == 1
    assert "/nowhere" in done.document["message"]
    assert done.document["message"].count("complexity_scores[tea]") == 1
    assert done.document["cure"]
