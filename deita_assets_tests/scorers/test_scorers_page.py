"""docs/scorers.md says what the code does: prompts, statuses, settings, digit ids and the comparison example."""

import ast
import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from deita_assets.scorers.base import SCORED, Status
from deita_assets.scorers.deita import MAX_LENGTH, PRESETS
from deita_assets.scorers.deita_prompt import build_prompt
from deita_assets.scorers.digit_ids import KNOWN
from deita_assets.settings import DeitaSettings

PAGE = Path(__file__).parents[2] / "docs" / "scorers.md"
#: Up to the next part of the page, which is about other scorers.
DEITA = PAGE.read_text(encoding="utf-8").partition("\n## DEITA scorers\n")[2].partition("\n## ")[0]


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", DEITA, flags=re.MULTILINE | re.DOTALL)


def test_the_prompts_are_shown_byte_for_byte():
    [shown] = blocks("text")
    complexity, quality = (ast.literal_eval(line) for line in shown.splitlines())
    assert complexity.format(instruction="a {b}") == build_prompt("complexity", "a {b}").text
    assert quality.format(instruction="a", output="{c}") == build_prompt("quality", "a", "{c}").text


def test_every_status_is_explained_and_those_with_a_score_say_so():
    rows = re.findall(r"^\| `(\w+)` \| ([\w.]+) \|", DEITA, flags=re.MULTILINE)
    assert {status for status, _ in rows} == set(get_args(Status))
    assert {status for status, score in rows if score != "no"} == SCORED


def test_presets_digit_ids_and_the_window_are_the_ones_in_use():
    assert all(f"`{name}`" in DEITA for name in PRESETS.values())
    for known in KNOWN.values():
        assert ", ".join(map(str, known.digit_ids)) in DEITA
    assert f"`max_length` tokens, {MAX_LENGTH} by default" in DEITA


def test_the_settings_shown_are_settings():
    [example] = blocks("toml")
    assert DeitaSettings(**tomllib.loads(example)).scorer.name == "deita"


def test_the_comparison_runs_as_shown(llama, capsys):
    [example] = blocks("python")
    here = example.replace('"/models/deita-quality-scorer"', repr(str(llama))).replace("cuda", "cpu")
    assert here.count(str(llama)) == 1
    exec(here, {})  # noqa: S102
    score, status = ast.literal_eval(capsys.readouterr().out.strip().replace(") (", "), ("))
    assert status == ("ok",)
    assert 1 < score[0] < 6


@pytest.mark.parametrize("name", re.findall(r"benchmarks/\w+\.py", DEITA))
def test_files_that_the_page_names_exist(name):
    assert (PAGE.parents[1] / name).is_file()
