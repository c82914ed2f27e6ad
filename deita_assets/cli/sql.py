"""`deita-assets sql`: queries over the published catalog.

What belongs here: the command. What does not: the named questions (`sql/analyst/`), their parameters (questions), the
shell (sql_shell).
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import duckdb

from deita_assets.cli.questions import Question, find_question, parse_question, questions
from deita_assets.cli.session import Session, dictionaries, printable, with_session
from deita_assets.errors import NotFoundError, UsageError
from deita_assets.stores.serving import open_serving, run_within

if TYPE_CHECKING:
    from deita_assets.stores.home import Home

DEFAULT_TIMEOUT_S = 300.0
#: Rows taken out of DuckDB at a time while CSV is written.
_CSV_ROWS = 1_000


@click.command("sql")
@click.argument("query", required=False)
@click.option(
    "-f", "--file", "file", type=click.Path(path_type=Path), help="A file, or the name of a listed question."
)
@click.option("--list", "list_", is_flag=True, help="The named questions and their parameters.")
@click.option("--set", "given", multiple=True, metavar="NAME=VALUE", help="A parameter; repeatable.")
@click.option(
    "--csv", "as_csv", is_flag=True, help="CSV on stdout, with a header line; NULL is an empty field."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=DEFAULT_TIMEOUT_S,
    show_default=True,
    help="Seconds after which a query is stopped; 0 for never.",
)
@with_session
def command(
    session: Session,
    query: str | None,
    file: Path | None,
    list_: bool,
    given: tuple[str, ...],
    as_csv: bool,
    timeout: float,
) -> None:
    """Run a query, read-only, over the public views and macros.

    Without a query it opens a shell on a terminal, and elsewhere runs what stands on its input. docs/sql.md has every
    column of every view.

    CSV holds what the rows hold: a text that begins with =, +, - or @ is a formula to a spreadsheet, so import such
    columns as text.
    """
    if query and file:
        raise UsageError("give one query, or -f FILE, not both.")
    if as_csv and session.as_json:
        raise UsageError("give --csv or --json, not both.")
    if list_:
        _list(session)
    elif not query and not file and not session.as_json and sys.stdin.isatty() and sys.stdout.isatty():
        from deita_assets.cli.sql_shell import Shell

        Shell(session, timeout).run()
    else:
        asked = find_or_read(file) if file else parse_question("the query", query or _piped())
        _ask(session, asked, given, as_csv=as_csv, timeout=timeout)


def find_or_read(file: Path) -> Question:
    """The question in a file, else the named one.

    Raises:
        NotFoundError: neither is there.
    """
    if file.is_file():
        return parse_question(str(file), file.read_text(encoding="utf-8"))
    if file.name != file.stem or file.parent != Path():
        raise NotFoundError(
            f"{file}: no such file.", cure="Check the path, or name a question of `sql --list`."
        )
    return find_question(file.name)


def said(error: duckdb.Error) -> str:
    """What DuckDB complains of, without the picture of the line, on one line."""
    return " ".join(str(error).strip().partition("\n\n")[0].split())


def _piped() -> str:
    text = "" if sys.stdin.isatty() else sys.stdin.read()
    if not text.strip():
        raise UsageError(
            "give one query, or -f FILE.", cure="For example: deita-assets sql 'select * from selections'."
        )
    return text


def _ask(session: Session, asked: Question, given: Sequence[str], *, as_csv: bool, timeout: float) -> None:
    with open_serving(session.home) as con:
        values = asked.values(con, given) or None
        try:
            if as_csv:
                run_within(con, timeout, lambda: _write_csv(con, asked, values))
                return
            rows = run_within(con, timeout, lambda: dictionaries(con, asked.query, values))
        except duckdb.Error as error:
            raise UsageError(f"SQL: {said(error)}", cure=_cure(session.home, error)) from error
    if rows:
        session.table("", list(rows[0]), [list(row.values()) for row in rows])
    session.out.print(f"{len(rows):,} rows" if len(rows) != 1 else "1 row")
    session.emit(rows)


def _write_csv(con: duckdb.DuckDBPyConnection, asked: Question, values: dict[str, Any] | None) -> None:
    cursor = con.execute(asked.query, values) if values else con.execute(asked.query)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    # The writer leaves a lone carriage return without quotation marks, which readers take for the end of a line.
    quoting = csv.writer(sys.stdout, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow([column[0] for column in cursor.description or []])
    while rows := cursor.fetchmany(_CSV_ROWS):
        for fields in ([_field(value) for value in row] for row in rows):
            broken = any(isinstance(field, str) and "\r" in field for field in fields)
            (quoting if broken else writer).writerow(fields)


def _field(value: Any) -> Any:
    """A value as CSV has it: flags as SQL writes them, lists and structs as JSON."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple | dict):
        value = json.dumps(value, ensure_ascii=False, default=str)
    # On a terminal people read it, and the terminal would obey; what goes into a file or a pipe is left as it is.
    return printable(value) if isinstance(value, str) and sys.stdout.isatty() else value


def _cure(home: Home, error: duckdb.Error) -> str:
    if isinstance(error, duckdb.CatalogException | duckdb.BinderException):
        return "docs/sql.md has every view and column; so has `.schema VIEW` in the shell."
    if isinstance(error, duckdb.IOException | duckdb.FatalException):
        return f"Check {home.serving} with `deita-assets doctor`."
    return "The catalog is read-only and reaches no files; `deita-assets sql --list` has ready questions."


def _list(session: Session) -> None:
    found = questions()
    session.table(
        "", ["name", "question", "parameters"],
        [[one.name, one.question, " ".join(parameter.shown for parameter in one.parameters)] for one in found],
    )  # fmt: skip
    session.emit(
        [
            {
                "name": one.name,
                "question": one.question,
                "parameters": [
                    {"name": p.name, "kind": p.kind, "default": p.default, "meaning": p.text}
                    for p in one.parameters
                ],
            }
            for one in found
        ]
    )
