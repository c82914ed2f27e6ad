"""Every public view, macro and column is described: in the catalog, and word for word in docs/sql.md."""

import re
from pathlib import Path

import pytest

from deita_assets.cli.questions import questions
from deita_assets.stores.catalog import public_tables
from deita_assets.stores.sql import statements

PAGE = (Path(__file__).resolve().parents[2] / "docs/sql.md").read_text(encoding="utf-8")
#: Calls that give rows in the small pool.
FROM = {
    "ledger_at": "ledger_at('mixture-2', 6)",
    "selection_diff": "selection_diff('v1mixture1500000', 'v2mixture1500000')",
}


@pytest.fixture(scope="module")
def tables(ask):
    return {table.name: table for table in public_tables(ask.con)}


def test_every_view_and_macro_is_there_and_on_the_page_in_one_order(tables):
    text = "".join(text for _, text in statements("public"))
    written = re.findall(r"create or replace (?:view|macro) main\.(\w+)", text)
    assert set(tables) == set(written)
    assert re.findall(r"^### `(.*)`$", PAGE, re.MULTILINE) == [table.call for table in tables.values()]


def test_the_page_says_what_the_catalog_says(tables):
    for table in tables.values():
        section = (
            PAGE.partition(f"### `{table.call}`\n\n")[2].partition("\n\n### ")[0].partition("\n\n## ")[0]
        )
        text, _, lines = section.partition("\n\n")
        assert text == table.text, table.name
        expected = [
            f"| `{c.name}` | {c.type} | {c.unit or '-'} | {c.meaning} | {c.null or 'never'} |"
            for c in table.columns
        ]
        assert lines.strip().splitlines()[2:] == expected, f"{table.name}: expected\n" + "\n".join(expected)


def test_every_column_means_something(tables):
    for table in tables.values():
        assert table.text, table.name
        assert [column.name for column in table.columns if not column.meaning] == [], table.name


def test_nothing_is_null_that_is_never_null(tables, ask):
    for table in tables.values():
        source = FROM.get(table.name, table.name)
        for column in table.columns:
            nulls, rows = ask.con.execute(
                f'select count(*) - count("{column.name}"), count(*) from {source}'
            ).fetchall()[0]
            assert rows, table.name
            assert not nulls or column.null, f"{table.name}.{column.name}"


def test_every_question_is_on_the_page():
    rows = re.findall(
        r"^\| `(\w+)` \| (.*) \|$",
        PAGE.partition("| question | asks |")[2].partition("\n\n")[0],
        re.MULTILINE,
    )
    assert rows == [(one.name, one.question) for one in questions()]
