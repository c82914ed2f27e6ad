"""`export` as it is called: options, what is printed, and what is told as JSON."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from deita_assets.cli import cli
from deita_assets.errors import DeitaError, NotFoundError, UsageError
from deita_assets.stores.home import Home
from deita_assets.stores.serving import publish
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.conftest import Landing
from deita_assets_tests.engines.scopes import Scoped, chat


@pytest.fixture(scope="module")
def made(tmp_path_factory, migrated):
    """A home with one version of three rows, one of which ends with a question."""
    home = Home(tmp_path_factory.mktemp("export") / "home").create()
    shutil.copyfile(migrated, home.warehouse)
    scoped = Scoped(Warehouse(home), Landing(home))
    open_end = chat("q2")
    open_end["messages"].append({"role": "user", "content": "and?"})
    for at, text in enumerate(("q0", "q1", "q2", "and?")):
        scoped.scores[text], scoped.vectors[text] = 5.0 - at, np.eye(5)[at]
    scoped.ingest("s", [chat("q0"), chat("q1"), open_end])
    scoped.cover("s")
    from deita_assets.engines.score_pool import score_pool

    score_pool(scoped.warehouse, "s", "last")
    with scoped.warehouse.write("score") as con:  # an unanswered question has no score of its own
        con.execute(
            "update store.scored_pool set turn_products = [3.0], evol_score = 3.0 where evol_score is null"
        )
    done = scoped.subset(scoped.ledger("s"), 3)
    publish(home)
    return home, done


def export(home, *arguments):
    result = CliRunner().invoke(
        cli, ["--home", str(home.root), "--json", "export", *arguments], standalone_mode=True
    )
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return json.loads(result.stdout), result.stderr


def test_every_form_can_be_asked_for():
    from deita_assets.cli.export import command
    from deita_assets.engines.export import FORMS

    (asked,) = (option for option in command.params if option.name == "format_")
    assert set(asked.type.choices) == set(FORMS)


def test_the_document_tells_what_was_written(made, tmp_path):
    home, done = made
    version = done.selection.version
    told, err = export(home, version[:8], "--out", str(tmp_path / "a"))
    assert (told["selection_version"], told["n_rows"], told["format"]) == (version, 3, "jsonl")
    assert (tmp_path / "a" / "train.jsonl").read_bytes() == (done.directory / "train.jsonl").read_bytes()
    assert told["warnings"] == ["licence unknown: s; the card says so."]
    assert "warning: licence unknown: s" in err
    assert set(told["files"]) == {
        str(p.relative_to(tmp_path / "a")) for p in (tmp_path / "a").rglob("*") if p.is_file()
    }


def test_skipped_rows_are_told_with_their_ids(made, tmp_path):
    home, done = made
    told, _ = export(
        home,
        done.selection.version,
        "--format",
        "alpaca",
        "--columns",
        "sample_id,rank",
        "--out",
        str(tmp_path / "a"),
    )
    (skipped,) = told["skipped"]
    assert (skipped["reason"], skipped["rows"], told["n_rows"]) == ("no_answer_at_the_end", 1, 2)
    text = (tmp_path / "a" / "train.jsonl").read_text(encoding="utf-8")
    assert [set(json.loads(line)) for line in text.splitlines()] == [
        {"instruction", "input", "output", "sample_id", "rank"}
    ] * 2
    result = CliRunner().invoke(
        cli,
        [
            "--home",
            str(home.root),
            "export",
            done.selection.version,
            "--format",
            "alpaca",
            "--out",
            str(tmp_path / "b"),
        ],
    )
    assert "2 rows of" in result.stdout
    assert (
        f"skipped 1 (no_answer_at_the_end: its last message is no answer of the assistant): {skipped['sample_ids'][0]}"
        in result.stdout
    )


def test_what_is_refused(made, tmp_path, monkeypatch):
    home, done = made
    version, out = done.selection.version, str(tmp_path / "out")
    for arguments, error in (
        ([version, "--out", str(tmp_path)], UsageError),
        ([version, "--out", "/"], UsageError),
        (["f" * 16, "--out", out], NotFoundError),
        ([version[:3], "--out", out], UsageError),
        ([version, "--columns", "x", "--out", out], UsageError),
        ([version, "--format", "alpaca", "--shard-rows", "2", "--out", out], UsageError),
    ):
        with pytest.raises(error):
            export(home, *arguments)
    monkeypatch.setenv("DEITA_REQUIRE_LICENCE", "true")
    with pytest.raises(DeitaError, match="licence unknown: s"):
        export(home, version, "--out", out)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("DEITA_SOURCES", '{"s": {"licence": "MIT"}}')
    assert export(home, version, "--out", out)[0]["warnings"] == []
    assert "license: mit" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")


def test_rows_that_were_taken_down_since_are_named(made, tmp_path):
    home, done = made
    first = done.selection.members[0].sample_id
    copy = Home(tmp_path / "copy")
    shutil.copytree(home.root, copy.root)
    with Warehouse(copy).write("take down") as con:
        con.execute(
            "insert into store.takedown (sample_id, reason, taken_at) values (?, 'x', now())", [first]
        )
    publish(copy)
    told, _ = export(copy, done.selection.version, "--out", str(tmp_path / "out"))
    assert told["taken_down"] == [first]
    assert any(first in warning for warning in told["warnings"])
