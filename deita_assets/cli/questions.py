"""Questions in SQL with declared parameters: those of `sql/analyst/`, and files of people's own in the same form.

    -- Which dropped rows came closest to staying?
    -- $scope scope = null  a source or mixture; all of them when left out
    -- $rows count = 20  how many to show
    select ... where ($scope is null or scope = $scope) limit $rows

The first line asks, the lines below declare: name, kind, default, two spaces, meaning. Values are bound as DuckDB
parameters, never pasted into the text.

What belongs here: reading that header and turning words into values. What does not: running anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from deita_assets.cli.look import find_version, scope_kind
from deita_assets.errors import NotFoundError, UsageError
from deita_assets.stores.sql import statements

if TYPE_CHECKING:
    import duckdb

Value = str | int | float | None

_DECLARED = re.compile(r"-- \$(?P<name>\w+) (?P<kind>\w+) = (?P<default>'[^']*'|\S+)  (?P<text>\S.*)")
#: Strings, quoted names and comments, in which a `$name` is no parameter.
NO_SQL = re.compile(r"\$(\w*)\$.*?\$\1\$|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)


@dataclass(frozen=True)
class Parameter:
    """One declared parameter of a question."""

    name: str
    kind: str
    default: Value
    text: str

    @property
    def shown(self) -> str:
        """As it would be given: `rows=20`; a bare name when there is no default."""
        return self.name if self.default is None else f"{self.name}={self.default}"


@dataclass(frozen=True)
class Question:
    """A query with what it asks and the parameters that it takes."""

    name: str
    question: str
    parameters: tuple[Parameter, ...]
    query: str

    def values(self, con: duckdb.DuckDBPyConnection, given: Sequence[str]) -> dict[str, Value]:
        """Value of every parameter: its default, or what `name=value` says.

        Raises:
            UsageError: an unknown parameter, or a value that is not of its kind.
            NotFoundError: a scope, source or version that the catalog has not.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        values = {parameter.name: parameter.default for parameter in self.parameters}
        for one in given:
            name, equals, word = one.partition("=")
            if not equals:
                raise UsageError(f"{one!r} sets nothing, expected NAME=VALUE.", cure=self._cure())
            if name not in known:
                raise UsageError(f"{self.name} has no parameter {name!r}.", cure=self._cure())
            values[name] = _value(con, known[name], word)
        return values

    def _cure(self) -> str:
        if not self.parameters:
            return (
                "It takes none; a query declares its own in its first lines: -- $rows count = 20  how many."
            )
        told = ", ".join(f"{one.shown} ({one.kind})" for one in self.parameters)
        return f"It takes {told}."


def parse_question(name: str, text: str) -> Question:
    """A query and its header.

    Raises:
        UsageError: a declaration that is malformed, twice there, or not used; a `$name` that is not declared.
    """
    lines = text.splitlines()
    header = lines[: next((at for at, line in enumerate(lines) if not line.startswith("--")), len(lines))]
    declared = [_parameter(name, line) for line in header if line.startswith("-- $")]
    names = [parameter.name for parameter in declared]
    used = set(re.findall(r"\$([A-Za-z_]\w*)", NO_SQL.sub(" ", text)))
    for wrong, what in (
        (sorted({one for one in names if names.count(one) > 1}), "declared twice"),
        (sorted(set(names) - used), "declared and not used"),
        (sorted(used - set(names)), "used and not declared"),
    ):
        if wrong:
            raise UsageError(
                f"{name}: ${', $'.join(wrong)} {what}.",
                cure=f"Declare each once in the first lines: {_EXAMPLE}",
            )
    asked = header[0].removeprefix("--").strip() if header and not header[0].startswith("-- $") else ""
    return Question(name, asked, tuple(declared), text)


def questions() -> list[Question]:
    """The named ones, in name order."""
    return [parse_question(name, text) for name, text in statements("analyst")]


def find_question(name: str) -> Question:
    """A named one.

    Raises:
        NotFoundError: there is none of that name; the message has those that there are.
    """
    known = {one.name: one for one in questions()}
    if name not in known:
        raise NotFoundError(
            f"no question {name!r}.", cure=f"`deita-assets sql --list` has them: {', '.join(known)}."
        )
    return known[name]


_EXAMPLE = "-- $rows count = 20  how many to show"


def _parameter(name: str, line: str) -> Parameter:
    match = _DECLARED.fullmatch(line.rstrip())
    if not match or match["kind"] not in _KINDS:
        raise UsageError(
            f"{name}: {line!r} declares no parameter.",
            cure=f"Write it like this: {_EXAMPLE} (kinds: {', '.join(_KINDS)}; default null, a number or 'text').",
        )
    return Parameter(match["name"], match["kind"], _literal(name, line, match), match["text"])


def _literal(name: str, line: str, match: re.Match[str]) -> Value:
    word = match["default"]
    if word == "null":
        return None
    if word.startswith("'"):
        return word[1:-1]
    try:
        return _count(word) if match["kind"] == "count" else _number(word)
    except ValueError as error:
        raise UsageError(
            f"{name}: the default {word} in {line!r} is {error}.", cure="Give null, a number or 'text'."
        ) from error


def _value(con: duckdb.DuckDBPyConnection, parameter: Parameter, word: str) -> Value:
    try:
        return _KINDS[parameter.kind](con, word)
    except ValueError as error:
        raise UsageError(
            f"{parameter.name}={word}: {error}.", cure=f"{parameter.name} is {parameter.text}."
        ) from error


def _count(word: str) -> int:
    if not re.fullmatch(r"\d{1,18}", word, re.ASCII):
        raise ValueError("not a count, expected digits")
    return int(word)


def _number(word: str) -> float:
    try:
        number = float(word)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise ValueError("not a number")
    return number


def _source(con: duckdb.DuckDBPyConnection, word: str) -> str:
    rows = con.execute(
        "select distinct source from pool union select distinct source from quarantine order by 1"
    )
    known = [str(name) for (name,) in rows.fetchall()]
    if word not in known:
        raise NotFoundError(f"no source {word!r}.", cure=f"Known: {', '.join(known) or 'none'}.")
    return word


def _scope(con: duckdb.DuckDBPyConnection, word: str) -> str:
    scope_kind(con, word)
    return word


def _version(con: duckdb.DuckDBPyConnection, word: str) -> str:
    return str(find_version(con, word)["selection_version"])


_KINDS: dict[str, Callable[[duckdb.DuckDBPyConnection, str], Value]] = {
    "text": lambda con, word: word,
    "count": lambda con, word: _count(word),
    "number": lambda con, word: _number(word),
    "source": _source,
    "scope": _scope,
    "version": _version,
}
