"""Homes to test in, and files to land in them."""

import os

# Before torch is loaded anywhere: on two shared cores a second thread mostly waits, busily; children inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
from pathlib import Path

import pytest

from deita_assets.stores.home import Home
from deita_assets.stores.warehouse import Warehouse

#: Files that take minutes, in the order in which they are best begun when two run at a time.
_LONG = ("soak/test_soak.py", "cli/test_kill.py", "soak/test_kills.py", "browser/test_dagster_ui.py")


def pytest_collection_modifyitems(items):
    """Long files first; all others stay in their order."""
    places = {Path(__file__).parent / name: at for at, name in enumerate(_LONG)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture
def home(tmp_path):
    """A fresh home with its folders, and no warehouse yet."""
    return Home(tmp_path / "home").create()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """An empty, migrated warehouse to copy: migrating takes 0.2 s, copying next to nothing."""
    template = Home(tmp_path_factory.mktemp("template")).create()
    Warehouse(template).migrate()
    return template.warehouse


@pytest.fixture
def warehouse(home, migrated):
    """The migrated warehouse of `home`."""
    shutil.copyfile(migrated, home.warehouse)
    return Warehouse(home)


@pytest.fixture
def land(home):
    """`land(source, name, content)` puts a file into landing; `content` is bytes, or rows for JSON lines."""
    return Landing(home)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub on loopback without any dataset; `huggingface_hub` in this process asks it."""
    from deita_assets_tests.engines.fake_hub import FakeHub, reached, serving

    made = FakeHub()
    with serving(made) as address, reached(monkeypatch, address, tmp_path):
        yield made


class Landing:
    """What stands in landing, changed by hand."""

    def __init__(self, home: Home) -> None:
        self.home = home

    def __call__(self, source, name, content):
        from deita_assets_tests.readers.packing import jsonl

        path = self.path(source, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else jsonl(content))
        return path

    def path(self, source, name) -> Path:
        return self.home.source_landing(source) / name

    def remove(self, source, name):
        self.path(source, name).unlink()
