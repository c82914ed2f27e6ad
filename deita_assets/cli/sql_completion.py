"""What the SQL shell offers while one types: views, columns, macros, keywords, and its own commands.

What belongs here: which words fit at a place. What does not: reading keys, or running anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from deita_assets.cli.questions import Question
from deita_assets.stores.catalog import PublicTable

KEYWORDS = (
    "select", "from", "where", "group by", "order by", "limit", "having", "qualify", "join", "left join", "semi join",
    "anti join", "using", "on", "and", "or", "not", "in", "is null", "is not null", "between", "like", "as", "with",
    "distinct", "count(*)", "avg", "sum", "min", "max", "median", "quantile_cont", "round", "case", "when", "then",
    "else", "end", "asc", "desc", "nulls last", "union all", "filter", "over", "partition by", "describe", "explain",
)  # fmt: skip

_WORD = re.compile(r"[\w.]*$")
_AFTER_FROM = re.compile(r"\b(?:from|join)\s+\w*$", re.IGNORECASE)
_ALIAS = re.compile(r"\b(?:from|join)\s+(\w+)(?:\([^)]*\))?(?:\s+(?:as\s+)?(\w+))?", re.IGNORECASE)


class ShellCompleter(Completer):
    """Words by place: tables behind FROM, columns behind `alias.`, names behind a command of the shell."""

    def __init__(
        self, tables: Iterable[PublicTable], questions: Iterable[Question], commands: Mapping[str, str]
    ) -> None:
        self._tables = {table.name: table for table in tables}
        self._questions = {question.name: question for question in questions}
        self._commands = commands

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """The words that go on from what stands before the cursor."""
        before = document.text_before_cursor
        found = self._of_command(before) if before.startswith(".") else self._of_sql(before, document.text)
        typed = before.split()[-1] if before.startswith(".") and before[-1:].strip() else ""
        typed = typed if before.startswith(".") else _WORD.findall(before)[0].rpartition(".")[2]
        for word, meta in found:
            if word.lower().startswith(typed.lower()):
                yield Completion(word, start_position=-len(typed), display_meta=meta)

    def _of_command(self, before: str) -> Iterator[tuple[str, str]]:
        name, space, rest = before.partition(" ")
        if not space:
            yield from self._commands.items()
        elif name == ".schema":
            yield from ((table.name, table.text) for table in self._tables.values())
        elif name == ".run":
            asked, behind, _ = rest.partition(" ")
            if not behind:
                yield from ((one.name, one.question) for one in self._questions.values())
            elif asked in self._questions:
                yield from ((f"{one.name}=", one.text) for one in self._questions[asked].parameters)

    def _of_sql(self, before: str, text: str) -> Iterator[tuple[str, str]]:
        word = _WORD.findall(before)[0]
        if "." in word:
            table = self._tables.get(self._alias(word.rpartition(".")[0], text))
            yield from ((column.name, column.type.lower()) for column in table.columns) if table else ()
            return
        yield from ((table.name, table.text) for table in self._tables.values())
        if _AFTER_FROM.search(before) or not word:
            return
        asked = {name for name, _ in _ALIAS.findall(text)} & set(self._tables) or set(self._tables)
        columns = {
            column.name: column.type.lower() for name in asked for column in self._tables[name].columns
        }
        yield from sorted(columns.items())
        yield from ((keyword, "") for keyword in KEYWORDS)

    def _alias(self, name: str, text: str) -> str:
        return next((table for table, alias in _ALIAS.findall(text) if alias == name), name)
