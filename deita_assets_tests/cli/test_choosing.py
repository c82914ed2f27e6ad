"""Choosing what may be chosen, through the command line: filters, selectors, exclusion sets, a frozen base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deita_assets_tests.cli.commands import MATHS, TEA, Output, chat, deita, write_jsonl

pytestmark = pytest.mark.slow  # forty commands, each a process of its own

QUESTIONS = [{"question": "Name a colour."}, {"question": "Who wrote Hamlet?"}]
SETTINGS = """
exclusion_sets = ["quiz"]

[mixtures.all.filters]
min_chars = 30
"""


def run(home: Path, *arguments: str) -> Output:
    return deita(home, *arguments, DEITA_SCORER__NAME="heuristic")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home, files = tmp_path_factory.mktemp("choosing") / "home", tmp_path_factory.mktemp("files")
    assert run(home, "add", "tea", str(write_jsonl(files / "tea.jsonl", TEA))).code == 0
    assert run(home, "add", "maths", str(write_jsonl(files / "maths.jsonl", MATHS))).code == 0
    done = run(home, "curate", "--budget", "3")
    assert done.code == 0, done.err
    assert "(from scratch: the scope has no earlier ledger)" in done.err
    return home


def current(home: Path, budget: int) -> str:
    rows: list[dict[str, Any]] = run(home, "selections", "--json").document
    return next(str(row["selection_version"]) for row in rows if row["is_head"] and row["budget"] == budget)


def verdicts(home: Path, ledger_id: str) -> dict[str, tuple[str, str | None]]:
    query = (
        "select t.instruction, l.verdict, l.reason "
        f"from ledger_at('{ledger_id}', 1000) l join turns t using (sample_id)"
    )
    rows = run(home, "sql", query, "--json").document
    return {row["instruction"]: (row["verdict"], row["reason"]) for row in rows}


def test_a_condition_is_tried_without_moving_anything(home: Path) -> None:
    before = current(home, 3)
    tried = run(home, "curate", "--budget", "2", "--where", "source = 'maths' and n_turns = 1", "--json")
    (trial,) = tried.document["trials"]
    found = verdicts(home, trial["ledger_id"])
    assert found["Name a colour."] == ("excluded", "where: source = 'maths' and n_turns = 1")
    assert sum(verdict == "excluded" for verdict, _ in found.values()) == 4
    assert trial["kept"] == 2
    assert current(home, 3) == before


def test_other_ways_to_choose_are_trials_too(home: Path) -> None:
    before = current(home, 3)
    option = ("--selector", "random", "--seed", "7", "--aggregation", "mean")
    tried = run(home, "curate", "--budget", "3", *option, "--json")
    assert tried.document["trials"][0]["kept"] == 3, tried.err
    assert current(home, 3) == before


def test_a_frozen_base_by_the_start_of_its_version(home: Path) -> None:
    base = current(home, 3)
    tried = run(home, "curate", "--budget", "5", "--frozen-base", base[:8], "--json")
    (trial,) = tried.document["trials"]
    query = f"select sample_id from selected where selection_version = '{base}' order by position"
    shipped = [row["sample_id"] for row in run(home, "sql", query, "--json").document]
    query = query.replace(base, trial["versions"]["5"])
    assert [row["sample_id"] for row in run(home, "sql", query, "--json").document][:3] == shipped
    assert run(home, "curate", "--budget", "5", "--frozen-base", "f00f00").code == 1


@pytest.mark.parametrize(
    ("option", "message", "code"),
    [
        (["--where", "n_chars >"], "where 'n_chars >': Parser Error", 2),
        (["--selector", "best"], "'best' is not one of", 2),
    ],
)
def test_mistakes_are_told(home: Path, option: list[str], message: str, code: int) -> None:
    refused = run(home, "curate", "--budget", "2", *option)
    assert refused.code == code
    assert message in refused.err


def test_settings_that_last(home: Path, tmp_path: Path) -> None:
    """An exclusion set of questions alone, and a filter; what changed is taken over from the last ledger."""
    (home / "deita.toml").write_text(SETTINGS, encoding="utf-8")
    refused = run(home, "curate", "--budget", "3")
    assert "exclusion set quiz is no source of this home" in refused.err
    added = run(home, "add", "quiz", str(write_jsonl(tmp_path / "quiz.jsonl", QUESTIONS)), "--json")
    assert added.document["in_pool"] == 2, added.err
    done = run(home, "curate", "--budget", "3", "--json")
    assert done.code == 0, done.err
    assert "(taking over " in done.err
    ledger_id = done.document["selections"][0]["ledger_id"]
    found = verdicts(home, ledger_id)
    assert found["Name a colour."][0] == "excluded"  # a filter comes first
    assert found["Translate to German.\nThe river is cold."][0] != "excluded"
    (home / "deita.toml").write_text(SETTINGS.partition("[mixtures")[0], encoding="utf-8")
    done = run(home, "curate", "--budget", "3", "--json")
    found = verdicts(home, done.document["selections"][0]["ledger_id"])
    assert found["Name a colour."] == ("contaminated", "13-gram: all 3 words of an instruction of quiz")
    assert set(found) == {row["messages"][0]["content"] for row in TEA[:4]} | {
        "Compare bubble sort and merge sort.", "Translate to German.\nThe river is cold.", "Why is the sky blue?",
    }  # fmt: skip
    told = run(home, "explain", "Name a colour.").out
    assert "contaminated: 13-gram: all 3 words of an instruction of quiz" in told
    assert "repeats quiz:" in told
    listed = run(home, "rows", "all", "--verdict", "contaminated", "--json").document
    assert [row["instruction"] for row in listed] == ["Name a colour."]
    again = run(home, "curate", "--budget", "3", "--json")
    assert again.document == done.document
    assert again.err.count("current") == 4, again.err  # two sources, the ledger, the subset


def test_longer_talks_do_not_pass_unnoticed(home: Path, tmp_path: Path) -> None:
    talk = chat("What is tea?", "A drink.")
    talk["messages"] += chat("And what is coffee?", "Another drink, of roasted beans.")["messages"]
    assert run(home, "add", "talks", str(write_jsonl(tmp_path / "talks.jsonl", [talk]))).code == 0
    done = run(home, "curate", "--budget", "1", "--json")
    folder = home / done.document["selections"][0]["directory"]
    assert "| turns of a row, on average |" in (folder / "README.md").read_text(encoding="utf-8")
    rows = run(home, "sql", "-f", "turns_selected", "--json").document
    assert {row["budget"] for row in rows} >= {1}
    assert all(row["pool_turns"] > 1 for row in rows)
