"""The SQL files of the project, by name.

What belongs here: finding and reading `sql/`. What does not: any SQL, or any connection.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from deita_assets.errors import NotFoundError

_PACKAGE = Path(__file__).resolve().parent.parent


def sql_root() -> Path:
    """`sql/` inside an installed wheel, else beside the package in a checkout."""
    inside = _PACKAGE / "sql"
    return inside if inside.is_dir() else _PACKAGE.parent / "sql"


@cache
def statement(name: str) -> str:
    """Text of `sql/<name>.sql`.

    Raises:
        NotFoundError: when there is no such file, naming those that exist beside it.
    """
    path = sql_root() / f"{name}.sql"
    if not path.is_file():
        known = sorted(p.stem for p in path.parent.glob("*.sql"))
        raise NotFoundError(f"no SQL file {name}.sql; {path.parent.name}/ has {', '.join(known) or 'none'}.")
    return path.read_text(encoding="utf-8")


def statements(folder: str) -> list[tuple[str, str]]:
    """(name, text) of every file in `sql/<folder>/`, in name order."""
    return [(p.stem, p.read_text(encoding="utf-8")) for p in sorted((sql_root() / folder).glob("*.sql"))]


def first(cursor: Any) -> tuple[Any, ...] | None:
    """The first row of a DuckDB result, or None.

    The result is drained: DuckDB 2.0 refuses other work on a connection whose last result was not.
    """
    rows = cursor.fetchall()
    return rows[0] if rows else None
