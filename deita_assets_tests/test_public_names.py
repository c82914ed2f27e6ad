"""The Python interface: which names there are, and what loading them costs."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import deita_assets

HEAVY = ["torch", "transformers", "lancedb", "pyarrow", "duckdb", "dagster"]


def modules_after(statements):
    """Names of all modules that a fresh interpreter holds after these statements."""
    script = f"{statements}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


def test_importing_the_package_loads_nothing_else():
    loaded = modules_after("import deita_assets")
    assert not loaded & {*HEAVY, "numpy"}
    assert {name for name in loaded if name.startswith("deita_assets")} == {"deita_assets"}


@pytest.mark.parametrize(
    "statements",
    [
        "import deita_assets.api",
        "import deita_assets, numpy\n"
        "deita_assets.repr_filter(numpy.eye(3), [1, 2, 3], threshold=0.9)\n"
        "deita_assets.expected_score(numpy.zeros(6))",
        "from deita_assets import Conversation, Ledger, ParseError, parse_conversation",
        "from deita_assets import DeitaScorer",
    ],
    ids=["api", "selecting", "parsing", "scorer class"],
)
def test_names_load_no_model_or_database_library(statements):
    assert not modules_after(statements) & set(HEAVY)


@pytest.mark.parametrize("name", deita_assets.__all__)
def test_every_public_name_is_there_and_documented(name):
    assert name in dir(deita_assets)
    assert getattr(deita_assets, name).__doc__


def test_other_names_are_refused_as_usual():
    with pytest.raises(AttributeError, match="no attribute 'repr_fliter'"):
        _ = deita_assets.repr_fliter


def test_the_version_is_that_of_the_distribution():
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert deita_assets.__version__ == project["version"]
