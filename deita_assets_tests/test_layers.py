"""The import contracts hold, and they notice a breach, also one inside a function."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

#: One breach of each contract, as code appended to a module of the package.
BREACHES = {
    "core/limits.py": "import torch",
    "stores/home.py": "import deita_assets.scorers.heuristic",
    "embedders/text.py": "import duckdb",
    "engines/landing.py": "import dagster",
    "readers/lines.py": "import deita_assets.engines.ingest",
}
CONTRACTS = (
    "core is pure: standard library and numpy only",
    "stores know databases, not frameworks or models",
    "scorers and embedders know models, not frameworks or databases",
    "only defs, definitions, partitions and cli know Dagster",
    "the layers",
)


def lint(root):
    """Exit code and output of import-linter on the package that stands in `root`."""
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True, no_logo=True))"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_import_contracts_hold():
    code, output = lint(ROOT)

    assert code == 0, output
    for contract in CONTRACTS:
        assert f"{contract} KEPT" in output


def test_each_contract_notices_a_breach_inside_a_function(tmp_path):
    shutil.copytree(
        ROOT / "deita_assets", tmp_path / "deita_assets", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for module, breach in BREACHES.items():
        with (tmp_path / "deita_assets" / module).open("a", encoding="utf-8") as handle:
            handle.write(f"\n\ndef _breach():\n    {breach}\n")

    code, output = lint(tmp_path)

    assert code != 0
    for contract in CONTRACTS:
        assert f"{contract} BROKEN" in output
