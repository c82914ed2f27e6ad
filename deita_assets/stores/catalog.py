"""The public views and macros as the catalog describes them: columns, types, and what each means.

What belongs here: reading those descriptions off a connection. What does not: their text
(`sql/public/90_comments.sql`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deita_assets.stores.sql import statements

if TYPE_CHECKING:
    import duckdb

#: `meaning [unit or range]; NULL when`; the last two parts may be missing.
_TEXT = re.compile(r"(?P<meaning>.*?)(?: \[(?P<unit>[^\]]*)\])?(?:; NULL (?P<null>.*))?", re.DOTALL)
_NAME = re.compile(r"create or replace (?:view|macro) main\.(\w+)")


@dataclass(frozen=True)
class PublicColumn:
    """One column: its name, DuckDB type and description.

    Attributes:
        name: as in SQL.
        type: DuckDB's name of the type.
        text: the whole description; empty when the catalog has none.
    """

    name: str
    type: str
    text: str

    @property
    def meaning(self) -> str:
        """The description without unit and NULL."""
        return self._part("meaning")

    @property
    def unit(self) -> str:
        """Unit, range or allowed values; empty for plain text and flags."""
        return self._part("unit")

    @property
    def null(self) -> str:
        """When it is NULL; empty for a column that never is."""
        return self._part("null")

    def _part(self, name: str) -> str:
        match = _TEXT.fullmatch(self.text)
        return (match[name] if match else None) or ""


@dataclass(frozen=True)
class PublicTable:
    """One public view, or a macro with the parameters that it takes."""

    name: str
    text: str
    columns: tuple[PublicColumn, ...]
    parameters: tuple[str, ...] | None = None

    @property
    def call(self) -> str:
        """How it stands in a FROM clause."""
        return self.name if self.parameters is None else f"{self.name}({', '.join(self.parameters)})"


def public_tables(con: duckdb.DuckDBPyConnection) -> list[PublicTable]:
    """Every public view, then every public macro, in the order of `sql/public/`."""
    views = con.execute(
        "select view_name, coalesce(comment, '') from duckdb_views() "
        "where database_name = current_database() and schema_name = 'main' and not internal"
    ).fetchall()
    macros = con.execute(
        "select function_name, coalesce(comment, ''), parameters from duckdb_functions() "
        "where database_name = current_database() and schema_name = 'main' and function_type = 'table_macro' "
        "and not internal"
    ).fetchall()
    found = [_view(con, *row) for row in views] + [_macro(con, *row) for row in macros]
    place = {
        name: at for at, name in enumerate(_NAME.findall("".join(text for _, text in statements("public"))))
    }
    return sorted(
        found, key=lambda one: (one.parameters is not None, place.get(one.name, len(place)), one.name)
    )


def _view(con: duckdb.DuckDBPyConnection, name: str, text: str) -> PublicTable:
    rows = con.execute(
        "select column_name, data_type, coalesce(comment, '') from duckdb_columns() "
        "where database_name = current_database() and schema_name = 'main' and table_name = ? order by column_index",
        [name],
    ).fetchall()
    return PublicTable(name, text, tuple(PublicColumn(*row) for row in rows))


def _macro(con: duckdb.DuckDBPyConnection, name: str, text: str, parameters: Sequence[str]) -> PublicTable:
    """A macro's columns have no comments of their own: they stand in the macro's, one a line."""
    first, *lines = text.split("\n")
    told = dict(line.split(": ", 1) for line in lines if ": " in line)
    nothing = ", ".join(["null"] * len(parameters))
    rows = con.execute(f'describe select * from "{name}"({nothing})').fetchall()  # noqa: S608 - a name of the catalog
    columns = tuple(PublicColumn(row[0], row[1], told.get(row[0], "")) for row in rows)
    return PublicTable(name, first, columns, tuple(parameters))
