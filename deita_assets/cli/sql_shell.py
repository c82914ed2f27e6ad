"""The interactive shell of `deita-assets sql`.

What belongs here: reading statements and commands from a terminal, and answering them. What does not: completion
(sql_completion), layout (sql_table), or what a query may do (stores.serving).
"""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.lexers import PygmentsLexer
from pygments.lexers.sql import SqlLexer

from deita_assets.cli.questions import NO_SQL, Question, Value, find_question, parse_question, questions
from deita_assets.cli.session import Session, printable
from deita_assets.cli.sql_completion import ShellCompleter
from deita_assets.cli.sql_table import record_lines, table_lines
from deita_assets.errors import DeitaError, NotFoundError, UsageError
from deita_assets.stores.catalog import PublicTable, public_tables
from deita_assets.stores.serving import open_serving, run_within

#: Rows shown of a longer result; the rest is counted.
SHOWN_ROWS = 40

COMMANDS = {
    ".tables": "the public views and macros",
    ".schema": "columns of a view or macro, and what they mean: .schema pool",
    ".list": "the named questions",
    ".run": "ask one of them: .run near_misses rows=5",
    ".help": "this list",
    ".quit": "leave; so does Ctrl-D",
}


class Shell:
    """A session at a terminal: statements end with `;`, commands begin with a dot."""

    def __init__(self, session: Session, timeout: float) -> None:
        self.home, self.timeout = session.home, timeout
        self._out = session.out
        self._opened = ExitStack()
        self._inode = -1
        self._con: duckdb.DuckDBPyConnection
        self._tables: list[PublicTable] = []
        self._questions = questions()
        self._actions: dict[str, Callable[[str], None]] = {
            ".tables": self._show_tables,
            ".schema": self._show_schema,
            ".list": self._show_questions,
            ".run": self._run_question,
            ".help": self._show_help,
        }

    def run(self) -> None:
        """Answer until `.quit` or Ctrl-D."""
        # Ctrl-C is ours, even where whoever started this program had it ignored.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            with self._opened:
                self._open()
                self._converse()
        finally:
            signal.signal(signal.SIGINT, before)

    def _converse(self) -> None:
        prompt: PromptSession[str] = PromptSession(
            "sql> ",
            multiline=True,
            prompt_continuation="...> ",
            history=FileHistory(str(_history(self.home.sql_history))),
            completer=ShellCompleter(self._tables, self._questions, COMMANDS),
            lexer=PygmentsLexer(SqlLexer),
            key_bindings=_keys(),
        )
        self._say(f"{self.home.serving}, read-only. Statements end with ;  .help lists the commands.")
        while True:
            try:
                text = prompt.prompt().strip()
            except KeyboardInterrupt:
                continue
            except EOFError:
                return
            if text in (".quit", ".exit"):
                return
            if text.strip("; \n"):
                self.answer(text)

    def answer(self, text: str) -> None:
        """One statement or command; what goes wrong is told, and the shell goes on."""
        try:
            self._open()
            if text.startswith("."):
                name, _, rest = text.rstrip("; ").partition(" ")
                if name not in self._actions:
                    raise UsageError(f"no command {name}.", cure="See .help.")
                self._actions[name](rest.strip())
            else:
                self._ask(parse_question("the query", text), ())
        except DeitaError as error:
            self._say(f"error: {error}")
        except duckdb.Error as error:
            self._say(f"error: {str(error).strip()}")
        except KeyboardInterrupt:
            self._say("interrupted")

    def _open(self) -> None:
        """The catalog as it was published last."""
        inode = self.home.serving.stat().st_ino if self.home.serving.exists() else -1
        if inode == self._inode and inode != -1:
            return
        if self._inode != -1:
            self._say("-- the catalog was published anew; temporary tables of this session are gone")
        self._opened.close()
        self._con = self._opened.enter_context(open_serving(self.home))
        self._inode = inode
        self._tables = public_tables(self._con)

    def _ask(self, question: Question, given: Sequence[str]) -> None:
        values = question.values(self._con, given)
        self._show(*run_within(self._con, self.timeout, lambda: self._read(question.query, values)))

    def _read(self, query: str, values: dict[str, Value]) -> tuple[list[str], list[tuple[Any, ...]], int]:
        """(header, the first rows, how many there are)."""
        cursor = self._con.execute(query, values) if values else self._con.execute(query)
        header = [column[0] for column in cursor.description or []]
        rows = cursor.fetchmany(SHOWN_ROWS)
        count = len(rows)
        while more := cursor.fetchmany(1_000) if len(rows) == SHOWN_ROWS else []:
            count += len(more)
        return header, rows, count

    def _show(self, header: Sequence[str], rows: Sequence[Sequence[Any]], count: int) -> None:
        if count == 1:
            self._say(*record_lines(header, rows[0], self._out.width), "1 row")
            return
        lines, left_out = table_lines(header, rows, self._out.width)
        shown = f"{count:,} rows" if count == len(rows) else f"first {len(rows)} of {count:,} rows"
        narrow = f"; no room for {', '.join(left_out)}" if left_out else ""
        self._say(*(lines if rows else []), shown + narrow)

    def _show_tables(self, rest: str) -> None:
        calls, texts = [one.call for one in self._tables], [one.text for one in self._tables]
        self._say(*record_lines(calls, texts, self._out.width))

    def _show_schema(self, rest: str) -> None:
        known = {table.name: table for table in self._tables}
        if rest not in known:
            raise NotFoundError(f"no view or macro {rest!r}.", cure=f"There are {', '.join(known)}.")
        table = known[rest]
        self._say(f"{table.call}: {table.text}")
        for column in table.columns:
            self._say(
                *record_lines(
                    [f"  {column.name:<20} {column.type.lower():<9}"], [column.text], self._out.width
                )
            )

    def _show_questions(self, rest: str) -> None:
        for one in self._questions:
            self._say(f"{one.name}  {' '.join(parameter.shown for parameter in one.parameters)}")
            self._say(f"    {one.question}")

    def _run_question(self, rest: str) -> None:
        try:
            name, *given = shlex.split(rest) or [""]
        except ValueError as error:
            raise UsageError(f".run {rest}: {error}.", cure="Close the quotation mark.") from error
        self._ask(find_question(name), given)

    def _show_help(self, rest: str) -> None:
        self._say(*(f"{name:<9} {what}" for name, what in COMMANDS.items()))

    def _say(self, *lines: str) -> None:
        for line in lines:
            self._out.print("\n".join(map(printable, line.split("\n"))), markup=False)


def is_whole(text: str) -> bool:
    """True when Enter ends the input: a command, nothing, or a statement with its `;` outside of any quotation."""
    if text.startswith(".") or not text.strip():
        return True
    bare = NO_SQL.sub(" ", text)
    return bare.rstrip().endswith(";") and not any(mark in bare for mark in ("'", '"', "/*"))


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def enter(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if is_whole(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.insert_text("\n")

    return keys


def _history(path: Path) -> Path:
    """The history file, readable by its owner alone: queries may quote rows."""
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    path.chmod(0o600)
    return path
