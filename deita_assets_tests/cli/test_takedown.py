"""`takedown`: asked about, told about, and never undone by what comes later."""

import sys

import click
import pytest

from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.cli.commands import chat, deita, write_jsonl
from deita_assets_tests.cli.test_withdraw import here, rows  # noqa: F401 - a fixture


def ids(here):  # noqa: F811
    found = here(
        "sql", "select sample_id, split_part(conversations, 'question ', 2)[1] as n from pool order by 2"
    )
    return [row["sample_id"] for row in found]


def taken(here):  # noqa: F811
    with Warehouse(here.home).read("test") as con:
        return con.execute("select sample_id, reason from store.takedown order by 1").fetchall()


def published(here, members):  # noqa: F811
    """A current version of these rows, whose folder is gone."""
    with Warehouse(here.home).write("a version") as con:
        con.execute(
            "insert into store.selection values ('0123456789abcdef', 'source', 'tea', 3, 3, 'l', 'm', '{}', "
            "'subsets/source/tea/3/0123456789abcdef', false, null, now())"
        )
        for position, member in enumerate(members, 1):
            con.execute(
                "insert into store.selection_member (selection_version, position, sample_id, rank, evol_score) "
                "values ('0123456789abcdef', ?, ?, 1, 1.0)",
                [position, member],
            )
        con.execute("insert into store.selection_head values ('source', 'tea', 3, '0123456789abcdef')")


def test_a_row_is_gone_for_good(here, tmp_path):  # noqa: F811
    first = ids(here)[1]
    published(here, ids(here)[:3])
    done = here("takedown", first[:14], "--yes", "--reason", "by its author")
    assert done["done"]
    assert [(row["sample_id"], row["in_pool"], row["reason"]) for row in done["rows"]] == [
        (first, False, "by its author")
    ]
    (version,) = done["versions"]
    assert (version["selection_version"], version["n_rows"], version["is_head"], version["directory_exists"]) == (
        "0123456789abcdef", 1, True, False,
    )  # fmt: skip
    assert rows(here) == 9
    assert taken(here) == [(first, "by its author")]
    again = here("add", "tea", str(tmp_path / "a.jsonl"))
    assert (again["in_pool"], again["taken_down"], again["rows_read"]) == (9, 1, 11)
    elsewhere = here("add", "other", str(write_jsonl(tmp_path / "c.jsonl", [chat("question 1", "answer 1")])))
    assert (elsewhere["in_pool"], elsewhere["taken_down"]) == (0, 1)
    told = here("takedown", first, "--yes", "--reason", "again", as_json=False)
    assert "taken down already" in told
    assert "0123456789abcdef" in told
    assert "folder is gone" in told
    assert {reason for _, reason in taken(here)} == {"by its author"}


def test_nobody_to_be_asked(here):  # noqa: F811
    first = ids(here)[0]
    assert "--yes" in here("takedown", first, code=2)["cure"]
    seen = here("takedown", first, "--dry-run")
    assert (seen["done"], [row["in_pool"] for row in seen["rows"]]) == (False, [True])
    assert (taken(here), rows(here)) == ([], 10)
    assert here("takedown", "zzzzzz", "--yes", code=1)["error"] == "NotFoundError"


@pytest.mark.parametrize(("answer", "left", "code"), [(True, 9, 0), (False, 10, 1)])
def test_somebody_is_asked(here, monkeypatch, answer, left, code):  # noqa: F811
    def confirm(text, *, abort, err):
        assert "1 rows down for good" in text
        assert abort
        if not answer:
            raise click.Abort

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(click, "confirm", confirm)
    here("takedown", ids(here)[0], code=code)
    assert rows(here) == left


@pytest.mark.slow
def test_a_source_that_cannot_be_read_anew_does_not_stop_it(here):  # noqa: F811
    (here.home.source_landing("tea") / "c.parquet").write_bytes(b"PAR1 but no more")
    failed = here("takedown", ids(here)[0], "--yes", code=1)
    assert "the rows are taken down, but tea" in failed["message"]
    assert rows(here) == 9
    (here.home.source_landing("tea") / "c.parquet").unlink()
    assert here("takedown", taken(here)[0][0])["done"]  # nothing new, so nothing to be asked


def test_killed_before_dagster_heard_of_it_the_source_is_stale(here):  # noqa: F811
    from deita_assets.engines.takedown import find_rows, take_down

    before = {row["source"]: row["stale"] for row in here("status")["sources"]}
    warehouse = Warehouse(here.home)
    take_down(warehouse, find_rows(warehouse, [ids(here)[0]]).contents, "asked")
    after = {row["source"]: row["stale"] for row in here("status")["sources"]}
    assert "raw_pool" not in before["tea"]
    assert "raw_pool" in after["tea"]


@pytest.mark.slow
def test_a_frozen_base_loses_the_row_though_its_source_is_not_selected_from(tmp_path):
    """Shipped out of `tea`; `new` is selected from `maths` alone, after the shipped rows."""
    home = tmp_path / "home"
    variables = {"DEITA_SCORER__NAME": "heuristic"}
    for source in ("tea", "maths"):
        file = write_jsonl(
            tmp_path / f"{source}.jsonl",
            [chat(f"{source} question {n}?", f"{source} answer {n}") for n in range(6)],
        )
        assert deita(home, "add", source, str(file)).code == 0
    curate = ["curate", "--budget", "3", "--json"]
    shipped = deita(home, *curate, "--source", "tea", **variables).document["selections"][0][
        "selection_version"
    ]
    (home / "deita.toml").write_text(
        f'[mixtures.new]\nsources = ["maths"]\nfrozen_base = "{shipped[:8]}"\n', encoding="utf-8"
    )

    def select():
        done = deita(home, *curate, "--mixture", "new", **variables)
        assert done.code == 0, done.err
        version = done.document["selections"][0]["selection_version"]
        query = f"select sample_id from selected where selection_version = '{version}' order by position"
        return version, [row["sample_id"] for row in deita(home, "sql", query, "--json").document]

    first, members = select()
    assert {row.partition(":")[0] for row in members} == {"tea"}
    assert select()[0] == first
    done = deita(home, "takedown", members[1], "--yes", "--json", **variables)
    assert done.code == 0, done.err
    assert {one["selection_version"] for one in done.document["versions"]} == {shipped, first}
    heads = {
        row["scope"]: row["stale"]
        for row in deita(home, "status", "--json", **variables).document["selections"]
    }
    assert heads == {"tea": True, "new": True}
    second, after = select()
    assert second != first
    assert after[:2] == [members[0], members[2]]
    assert after[2].startswith("maths:")
