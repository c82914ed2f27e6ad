"""`reproduce` on the command line: what it prints, and its exit code."""

import json
import shutil

import numpy as np
import pytest

from deita_assets.cli import main
from deita_assets.stores.home import Home
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.conftest import Landing
from deita_assets_tests.engines.scopes import Scoped


@pytest.fixture(scope="module")
def published(tmp_path_factory, migrated):
    home = Home(tmp_path_factory.mktemp("reproduce")).create()
    shutil.copyfile(migrated, home.warehouse)
    made = Scoped(Warehouse(home), Landing(home))
    made.source("s", {f"q{n}": (6.0 - n, np.eye(5)[n]) for n in range(5)})
    return home, made.subset(made.ledger("s"), 3)


def run(capsys, home, *arguments):
    with pytest.raises(SystemExit) as ended:
        main(["--home", str(home.root), "reproduce", *arguments])
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


def test_identical(published, capsys, tmp_path):
    home, cut = published
    version = cut.selection.version
    code, out, err = run(capsys, home, version[:8], "--out", str(tmp_path / "again"))
    n_bytes = (cut.directory / "train.jsonl").stat().st_size
    assert (code, out.splitlines()) == (0, [
        "identical",
        f"  {version}: source s, budget 3",
        f"  compared: 3 rows, 3 equal evol_scores, {n_bytes:,} bytes of train.jsonl, Parquet byte for byte",
        f"  rebuilt files: {tmp_path / 'again'}",
    ])  # fmt: skip
    assert "scored pool of s" in err
    assert (tmp_path / "again" / "train.jsonl").read_bytes() == (cut.directory / "train.jsonl").read_bytes()


def test_different_as_one_document(published, capsys, tmp_path):
    home, cut = Home(tmp_path / "copy"), published[1]
    shutil.copytree(published[0].root, home.root)
    path = home.root / cut.directory.relative_to(published[0].root) / "train.jsonl"
    path.write_bytes(path.read_bytes().replace(b"q1", b"q9"))
    code, out, _ = run(capsys, home, cut.selection.version, "--json")
    document = json.loads(out)
    assert (code, document["verdict"], document["selection_version"]) == (
        1,
        "different",
        cut.selection.version,
    )
    assert document["first_difference"]["where"] == "train.jsonl"
    assert document["first_difference"]["facts"]["line"] == 2
    assert [one["what"] for one in document["missing"]] == ["files"]
    assert document["compared"]["rows"] == 3


def test_what_cannot_be_asked(published, capsys, tmp_path):
    home, cut = published
    assert run(capsys, home, "abc")[0] == 2
    assert run(capsys, home, "feedfeedfeed")[0] == 1
    assert run(capsys, Home(tmp_path), cut.selection.version)[0] == 1
    assert list(tmp_path.iterdir()) == []
    code, _, err = run(capsys, home, cut.selection.version, "--out", str(tmp_path))
    assert (code, "nothing is ever overwritten" in err) == (2, True)
