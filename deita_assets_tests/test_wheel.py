"""The wheel holds all that an installation needs, and nothing of the workshop."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(ROOT)], check=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def files(folder, pattern):
    """Files below a folder of the checkout, relative to it."""
    return {path.relative_to(ROOT / folder).as_posix() for path in (ROOT / folder).rglob(pattern)}


def test_every_module_and_the_type_marker_are_inside(names):
    assert {f"deita_assets/{name}" for name in files("deita_assets", "*.py")} <= names
    assert "deita_assets/py.typed" in names


def test_every_sql_file_is_inside(names):
    shipped = {name.removeprefix("deita_assets/sql/") for name in names if name.endswith(".sql")}

    assert shipped == files("sql", "*.sql")
    assert any(name.startswith("schema/") for name in shipped)


def test_the_demo_is_inside(names):
    shipped = {
        name.removeprefix("deita_assets/demo/") for name in names if name.startswith("deita_assets/demo/")
    }

    assert shipped == {"front_desk.jsonl", "study_hall.json", "workbench.jsonl"}


def test_tests_docs_and_benchmarks_stay_outside(names):
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == {"deita_assets"}


def test_licence_and_console_script_are_inside(wheel, names):
    (entry,) = [name for name in names if name.endswith(".dist-info/entry_points.txt")]
    with zipfile.ZipFile(wheel) as archive:
        assert "deita-assets = deita_assets.cli:main" in archive.read(entry).decode()
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_an_unpacked_wheel_finds_its_own_sql(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = (
        "import deita_assets.stores.sql as sql; print(sql.sql_root()); "
        "print(len(sql.statements('schema')), len(sql.statements('public')))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    root, counts = done.stdout.splitlines()

    assert Path(root) == tmp_path / "deita_assets" / "sql"
    assert min(int(count) for count in counts.split()) >= 1
