"""The README and the pages in docs/ name what exists, and only that."""

import re
import shlex
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import click
import pytest
from pydantic import BaseModel

from deita_assets import __all__ as public_names
from deita_assets.cli import COMMANDS, cli
from deita_assets.definitions import ASSETS
from deita_assets.settings import (
    WEBHOOK_VARIABLE,
    DeitaSettings,
    EmbedderSettings,
    MixtureSettings,
    ScorerSettings,
    SourceSettings,
    TrainingSettings,
)
from deita_assets.stores.home import HOME_VARIABLE
from deita_assets.stores.sql import statements

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / name
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/architecture.md",
        "docs/scorers.md",
        "docs/embedders.md",
        "docs/selection.md",
        "docs/versions.md",
        "docs/sql.md",
        "docs/exports.md",
        "docs/automation.md",
        "docs/runs.md",
        "docs/checks.md",
        "docs/ui.md",
        "docs/integrity.md",
        "docs/reliability.md",
        "docs/atlas.md",
    )
]
SECTIONS = {
    "scorer": ScorerSettings,
    "embedder": EmbedderSettings,
    "training": TrainingSettings,
    "sources": SourceSettings,
    "mixtures": MixtureSettings,
}


def blocks(text, language):
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def code_spans(text):
    """What stands between single backticks, outside fenced blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def command_lines():
    """Every `deita-assets ...` that is shown as typed at a prompt or in a bash block."""
    lines = [line for block in blocks(README, "bash") for line in block.splitlines()]
    lines += [
        line[2:] for block in blocks(README, "console") for line in block.splitlines() if line[:2] == "$ "
    ]
    parts = [part.strip() for line in lines for part in re.split(r"&&", line)]
    return [shlex.split(part)[1:] for part in parts if Path(part.split()[0]).name == "deita-assets"]


def test_every_command_is_in_the_readme():
    named = {span.split()[1] for span in code_spans(README) if span.startswith("deita-assets ")}

    assert set(COMMANDS) <= named
    assert {name for name in named if name.isalpha()} <= set(COMMANDS)


@pytest.mark.parametrize("arguments", command_lines(), ids=" ".join)
def test_command_lines_in_the_readme_parse(arguments):
    name, *rest = arguments
    command = cli.get_command(click.Context(cli), name)

    assert command is not None
    command.make_context(name, rest)


def test_options_in_the_readme_exist():
    known = {option for name in COMMANDS for option in options_of(name)} | {"--help", "--home", "--json"}
    written = {
        option
        for span in code_spans(README)
        if not span.startswith("dagster")
        for option in re.findall(r"(?<!\S)--?[a-z][a-z-]*", span)
    }

    assert written <= known


def options_of(name):
    """Every spelling of every option of a command."""
    command = import_module(f"deita_assets.cli.{COMMANDS[name][0]}").command
    return {
        spelling for parameter in command.params for spelling in [*parameter.opts, *parameter.secondary_opts]
    }


def test_every_public_view_and_macro_is_in_the_readme():
    text = "".join(text for _, text in statements("public"))
    public = set(re.findall(r"create or replace (?:view|macro) main\.(\w+)", text))
    table = README.partition("| view | one row per |")[2].partition("\n\n")[0]
    named = set(re.findall(r"^\| `(\w+)", table, flags=re.MULTILINE))

    assert len(public) >= 11
    assert named == public


def test_every_setting_is_in_the_readme():
    table = README.partition("| setting | default | meaning |")[2].partition("\n\n")[0]
    rows = [
        [re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[1:3]] for line in table.splitlines()[2:]
    ]
    written = set()
    for names, _ in rows:
        sections = [name[1:-1].split(".")[0] for name in names if name.startswith("[")]
        keys = [name for name in names if not name.startswith("[")]
        written |= {f"{section}.{key}" for section in sections for key in keys} if sections else set(keys)
    fields = {name for name in DeitaSettings.model_fields if name not in SECTIONS}
    fields |= {f"{section}.{key}" for section, model in SECTIONS.items() for key in model.model_fields}

    variables = {HOME_VARIABLE, WEBHOOK_VARIABLE}
    assert written - variables == fields
    assert variables <= written


def test_defaults_in_the_readme_are_the_defaults():
    stated = dict(
        re.findall(r"^\| `(\w+)`(?: \(variable only\))? \| `([^`]+)` \|", README, flags=re.MULTILINE)
    )

    assert stated["budgets"] == str(DeitaSettings().budgets)
    assert stated["sample_rows_in_ui"] == str(DeitaSettings().sample_rows_in_ui).lower()
    for section, key in (("scorer", "name"), ("embedder", "name"), ("scorer", "max_length")):
        default = SECTIONS[section]().model_dump()[key]
        line = next(
            line for line in README.splitlines() if line.startswith(f"| `[{section}]`") and f"`{key}`" in line
        )
        assert f"`{default!r}`".replace("'", '"') in line


def test_settings_examples_are_accepted(monkeypatch):
    examples = blocks(README, "toml")

    assert len(examples) == 3
    for text in examples:
        settings = DeitaSettings(**tomllib.loads(text))
        assert isinstance(settings, BaseModel)
    for variable, value in re.findall(r"`(DEITA_[A-Z_]+)='?([^`']+)'?`", README):
        monkeypatch.setenv(variable, value)
    assert DeitaSettings().scorer.name == "deita"
    assert DeitaSettings().budgets == [3000, 6000]


def test_the_python_example_prints_what_it_says():
    (code,) = blocks(README, "python")
    printed = README.partition(code)[2].partition("```text\n")[2].partition("```")[0]

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == printed
    assert printed


def test_every_public_name_but_the_result_types_is_in_the_readme():
    assert {name for name in public_names if f"`{name}" not in README and f"import {name}" not in README} <= {
        "Ledger"
    }


def test_every_asset_is_in_the_picture_and_in_the_architecture():
    picture = (ROOT / "docs/graph.svg").read_text(encoding="utf-8")
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    keys = {asset.key.to_user_string() for asset in ASSETS}

    journey = {
        asset.key.to_user_string()
        for asset in ASSETS
        if "scorer_training" not in asset.group_names_by_key.values() and asset.key.path != ["store_upkeep"]
    }
    assert set(re.findall(r'class="name middle"[^>]*>(\w+)<', picture)) == journey
    assert {key for key in keys if f"`{key}" not in page} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", text) + re.findall(r'src="(?!https?:)([^"]+)"', text)

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_make_targets_in_the_docs_exist():
    targets = set(
        re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    written = {
        name for page in PAGES for name in re.findall(r"\bmake ([a-z]+)\b`", page.read_text(encoding="utf-8"))
    }

    assert written
    assert written <= targets


def test_demo_and_tests_are_one_line_each_and_ci_runs_the_second():
    demo, tests = (block.strip() for block in blocks(README, "bash")[:2])
    wanted = re.search(
        r'^line=\$\(grep -F -- "(.+)" README\.md\)$', (ROOT / ".ci/run").read_text(), flags=re.MULTILINE
    )

    assert (
        demo
        == "python3.11 -m venv .venv && .venv/bin/pip install -c constraints.txt . && .venv/bin/deita-assets demo"
    )
    assert [line for line in README.splitlines() if wanted[1] in line] == [tests]
