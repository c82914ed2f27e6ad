"""Naming a source as an exclusion set makes its pool stale, and no other; `add` reads it accordingly."""

from pathlib import Path

from deita_assets.defs.automation.staleness import Staleness
from deita_assets.settings import DeitaSettings
from deita_assets_tests.cli.commands import deita, write_jsonl

QUESTIONS = [{"question_id": n, "turns": [f"question {n}", "and then?"]} for n in range(3)]


def test_only_the_named_source_becomes_stale(home):
    def inputs(source, **settings):
        return Staleness(None, home, DeitaSettings(**settings), list).inputs("raw_pool", source)

    named, elsewhere = {"exclusion_sets": ["bench"]}, {"mixtures": {"m": {"exclusion_sets": ["bench"]}}}
    assert inputs("bench", **named) == inputs("bench", **elsewhere) != inputs("bench")
    assert inputs("tea", **named) == inputs("tea", **elsewhere) == inputs("tea")


def test_add_welcomes_questions_in_an_exclusion_set(tmp_path: Path):
    home, file = tmp_path / "home", write_jsonl(tmp_path / "bench.jsonl", QUESTIONS)
    setting = {"DEITA_EXCLUSION_SETS": '["bench"]'}
    refused = deita(home, "add", "bench", str(file), "--dry-run", "--json").document
    assert sum(refused["quarantine"].values()) == 3
    seen = deita(home, "add", "bench", str(file), "--dry-run", "--json", **setting).document
    assert (seen["format"], seen["quarantine"]) == ("questions", {})
    done = deita(home, "add", "bench", str(file), "--json", **setting)
    assert done.code == 0, done.err
    assert (done.document["in_pool"], done.document["quarantined"], done.document["format"]) == (
        3,
        0,
        "questions",
    )
