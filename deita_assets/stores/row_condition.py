"""A user's condition in SQL, evaluated on the public views with no power to do anything else.

What belongs here: checking that a text is one condition whose outcome depends on the rows alone, and which rows it
does not hold for. What does not: what becomes of those rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb

from deita_assets.errors import DeitaError, UsageError
from deita_assets.stores.lock import file_lock
from deita_assets.stores.sql import statement
from deita_assets.stores.warehouse import Warehouse

#: Given at connect, so that no statement can take it back: no files, extensions, network or Python variables.
_POWERLESS: dict[str, Any] = {
    "TimeZone": "UTC",
    "autoinstall_known_extensions": "false",
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "lock_configuration": "true",
}
#: Words without brackets that mean the time or the session, unless a column has that name.
_MOMENTS = {
    "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "current_user",
    "session_user", "user", "current_role", "current_catalog", "current_schema",
}  # fmt: skip


def rows_where_not(warehouse: Warehouse, sources: Sequence[str], condition: str) -> set[str]:
    """sample_ids of the pool rows of `sources` for which a condition is false or NULL.

    Args:
        warehouse: read-only, and only as it stands now.
        sources: whose rows are asked about.
        condition: over the columns of the views `pool` and `scored_pool`, which are joined; columns of
            `scored_pool` are NULL for rows that are not scored.

    Raises:
        UsageError: the text is not one condition, DuckDB cannot evaluate it, or it depends on time or chance.
    """
    with _powerless(warehouse) as con:
        _check_form(con, condition)
        _refuse_volatile(con, condition)
        query = statement("selection/filter_where").replace("{condition}", condition)
        named = {"sources": list(sources)}
        try:
            con.execute(f"explain {query}", named)
        except duckdb.Error as error:
            raise _wrong(con, condition, _said(error)) from error
        try:
            rows = con.execute(query, named).fetchall()
        except duckdb.Error as error:
            # From None, and by its kind alone: DuckDB quotes the value that it met, and messages of runs are kept.
            kind = _said(error).partition(":")[0]
            found = f"{kind} on the value of a row; `try_cast` gives NULL where `cast` fails"
            raise _wrong(con, condition, found) from None
    return {str(row[0]) for row in rows}


@contextmanager
def _powerless(warehouse: Warehouse) -> Iterator[duckdb.DuckDBPyConnection]:
    if not warehouse.home.warehouse.exists():
        warehouse.migrate()
    lock = warehouse.home.warehouse_lock
    with file_lock(lock, "filter by a condition", shared=True, deadline_s=warehouse.deadline_s):
        con = duckdb.connect(str(warehouse.home.warehouse), read_only=True, config=_POWERLESS)
        try:
            yield con
        finally:
            con.close()


def _check_form(con: duckdb.DuckDBPyConnection, condition: str) -> None:
    """Refuse everything but one expression.

    In brackets no clause can follow it, and without them none of its own can close ours: `a) or (b` is refused.
    """
    if not condition.strip():
        raise _wrong(con, condition, "it is empty")
    for form in ("select 1 where ({}\n)", "select 1 where {}\n"):
        try:
            found = con.extract_statements(form.format(condition))
        except duckdb.Error as error:
            raise _wrong(con, condition, _said(error)) from error
        if len(found) != 1 or found[0].type != duckdb.StatementType.SELECT:
            raise _wrong(con, condition, f"it is {len(found)} statements, expected one condition")


def _refuse_volatile(con: duckdb.DuckDBPyConnection, condition: str) -> None:
    """A condition that gives another answer tomorrow would give every ledger another identity."""
    stable = _Stability(con)
    try:
        culprit = stable.first_volatile(f"select 1 where ({condition}\n)")
    except duckdb.Error as error:
        raise _wrong(con, condition, _said(error)) from error
    if culprit is not None:
        raise _wrong(
            con,
            condition,
            f"{culprit} gives another answer each time; write a constant, such as date '2025-01-31'",
        )


#: `age` of one argument reads the clock; the others run SQL out of a text, which may hide anything.
_ALSO_VOLATILE = {"age", "query", "query_table"}


class _Stability:
    """Which functions depend on more than their arguments, macros looked through."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con
        rows = con.execute(
            "select function_name, bool_or(stability <> 'CONSISTENT'), any_value(macro_definition) "
            "from duckdb_functions() group by function_name"
        ).fetchall()
        self._volatile = {name for name, volatile, _ in rows if volatile} | _ALSO_VOLATILE
        self._macros = {name: text for name, _, text in rows if text}
        self._seen: set[str] = set()

    def first_volatile(self, select: str) -> str | None:
        """The first word of a SELECT that makes its result depend on time, chance or session."""
        tree = json.loads(self._con.execute("select json_serialize_sql(?)", [select]).fetchall()[0][0])
        if tree.get("error"):
            raise duckdb.NotSupportedError(str(tree.get("error_message", "it cannot be taken apart")))
        return next(self._culprits(tree), None)

    def _culprits(self, node: Any) -> Iterator[str]:
        if isinstance(node, list):
            for each in node:
                yield from self._culprits(each)
        if not isinstance(node, dict):
            return
        if node.get("sample"):
            yield "a sample"
        yield from self._of_function(str(node.get("function_name", "")).lower())
        names = node.get("column_names") or []
        if len(names) == 1 and names[0].lower() in _MOMENTS:
            yield names[0]
        for value in node.values():
            yield from self._culprits(value)

    def _of_function(self, name: str) -> Iterator[str]:
        if name in self._volatile:
            yield f"{name}()"
        elif name in self._macros and name not in self._seen:
            self._seen.add(name)
            try:
                inside = self.first_volatile(f"select {self._macros[name]}")
            except duckdb.Error:  # a table macro; ours read the store alone
                inside = None
            if inside:
                yield f"{name}()"


def _said(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip("!.")


def _wrong(con: duckdb.DuckDBPyConnection, condition: str, what: str) -> DeitaError:
    columns = [
        f"{view}({', '.join(row[0] for row in con.execute(f'describe {view}').fetchall())})"
        for view in ("pool", "scored_pool")
    ]
    shown = condition if len(condition) <= 200 else condition[:199] + "…"
    return UsageError(f"where {shown!r}: {what}.", cure=f"The columns are {' and '.join(columns)}.")
