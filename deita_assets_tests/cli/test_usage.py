"""What the command line says when it is called wrongly, and that saying it is cheap."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deita_assets.cli import COMMANDS
from deita_assets_tests.cli.commands import chat, deita, environment, write_jsonl


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["nonsense"], 2, "nonsense"),
        (["curate", "--budget", "0"], 1, "source"),
        (["add", "../etc", "x.jsonl"], 2, "../etc"),
        (["add", "all", "x.jsonl"], 2, "mixture"),
        (["add", "tea", "missing.jsonl"], 1, "missing.jsonl"),
        (["status"], 1, "serving.duckdb"),
        (["sql", "select 1", "-f", "x"], 2, "one query"),
        (["explain", "abcdefgh"], 1, "serving.duckdb"),
        (["rows", "tea", "--limit", "0"], 2, "limit"),
    ],
)
def test_errors_are_one_json_document_with_a_cure(
    tmp_path: Path, arguments: list[str], code: int, word: str
) -> None:
    for line in ([*arguments, "--json"], ["--json", *arguments]):
        done = deita(tmp_path / "home", *line)
        assert done.code == code, (done.out, done.err)
        assert set(done.document) == {"error", "message", "cure"}
        assert word in done.document["message"]
    human = deita(tmp_path / "home", *arguments)
    assert human.code == code
    assert human.err.startswith("error: ")
    assert "Traceback" not in human.err


def test_settings_errors_name_the_key(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "deita.toml").write_text("budgts = [3]\n", encoding="utf-8")
    done = deita(home, "curate", "--budget", "3", "--json")
    assert done.code == 2
    assert "budgts" in done.document["message"]
    (home / "deita.toml").unlink()
    unknown = deita(home, "curate", "--budget", "3", "--json", DEITA_BUDGTS="[3]")
    assert unknown.code == 2
    assert "DEITA_BUDGTS" in unknown.document["message"]


def test_a_dry_run_of_add_writes_nothing(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "rows.jsonl", [chat("a question", "an answer"), {"messages": None}, "text"])
    done = deita(tmp_path / "home", "add", "tea", str(file), "--dry-run", "--json")
    assert done.code == 0, done.err
    assert done.document["format"] == "messages"
    assert done.document["rows_read"] == 3
    assert done.document["quarantine"] == {"bad_messages": 1, "not_an_object": 1}
    assert done.document["conversations"][0]["messages"][0]["content"] == "a question"
    assert not (tmp_path / "home").exists()


def test_a_source_of_which_nothing_is_readable_is_an_error_that_keeps_the_reasons(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "odd.jsonl", [{"verse": "roses"}, {"verse": "violets"}])
    done = deita(tmp_path / "home", "add", "odd", str(file))
    assert done.code == 1
    assert "none of its 2 rows could be read" in done.err
    rows = deita(tmp_path / "home", "quarantine", "--json").document
    assert [row["reason"] for row in rows] == ["unknown_format", "unknown_format"]


def test_field_names_can_be_mapped(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "faq.jsonl", [{"ask": "Why?", "reply": "Because."}])
    done = deita(
        tmp_path / "home",
        "add",
        "faq",
        str(file),
        "--map",
        "prompt=ask",
        "--map",
        "completion=reply",
        "--json",
    )
    assert done.code == 0, done.err
    assert done.document["in_pool"] == 1
    assert done.document["format"] == "completion"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, tmp_path: Path) -> None:
    done = deita(tmp_path / "home", name, "--help")
    assert done.code == 0, done.err
    assert "--home" in done.out
    assert "--json" in done.out


def test_help_loads_nothing_heavy() -> None:
    program = (
        "import sys, json\n"
        "from deita_assets.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'transformers', 'lancedb', 'dagster', 'duckdb', 'pyarrow', 'numpy'}\n"
        "print('\\n' + json.dumps(sorted(heavy & set(sys.modules))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []
