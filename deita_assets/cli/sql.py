"""`deita-assets sql`: queries over the published catalog.

What belongs here: the command. What does not: the named questions (`sql/analyst/`).
"""

from __future__ import annotations

from pathlib import Path

import click
import duckdb

from deita_assets.cli.session import Session, dictionaries, with_session
from deita_assets.errors import NotFoundError, UsageError
from deita_assets.stores.serving import open_serving
from deita_assets.stores.sql import statement, statements


@click.command("sql")
@click.argument("query", required=False)
@click.option(
    "-f", "--file", "file", type=click.Path(path_type=Path), help="A file, or the name of a listed question."
)
@click.option("--list", "list_", is_flag=True, help="The named questions.")
@with_session
def command(session: Session, query: str | None, file: Path | None, list_: bool) -> None:
    """Run a query, read-only, over the public views.

    pool, turns, scores, scored_pool, ledger, selections, selected, lineage and quarantine.
    """
    if list_:
        _list(session)
        return
    if bool(query) == bool(file):
        raise UsageError(
            "give one query, or -f FILE.", cure="For example: deita-assets sql 'select * from selections'."
        )
    text = query or _read(file)
    with open_serving(session.home) as con:
        try:
            rows = dictionaries(con, text)
        except duckdb.Error as error:
            raise UsageError(
                f"SQL: {str(error).strip().splitlines()[0]}", cure="See `deita-assets sql --list`."
            ) from error
    if rows:
        session.table("", list(rows[0]), [list(row.values()) for row in rows])
    session.out.print(f"{len(rows):,} rows" if len(rows) != 1 else "1 row")
    session.emit(rows)


def _read(file: Path | None) -> str:
    assert file is not None  # noqa: S101 - one of the two was given
    if file.is_file():
        return file.read_text(encoding="utf-8")
    if file.name != file.stem or file.parent != Path():
        raise NotFoundError(
            f"{file}: no such file.", cure="Check the path, or name a question of `sql --list`."
        )
    return statement(f"analyst/{file.name}")


def _list(session: Session) -> None:
    questions = [(name, text.splitlines()[0].removeprefix("-- ")) for name, text in statements("analyst")]
    session.table("", ["name", "question"], [list(question) for question in questions])
    session.emit([{"name": name, "question": question} for name, question in questions])
