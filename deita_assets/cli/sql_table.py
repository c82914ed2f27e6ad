"""Rows of a query as a person reads them on a terminal: one line each, cut to its width.

What belongs here: widths and cutting. What does not: running queries, or tables that go into a pipe (session).
"""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import Any

from rich.cells import cell_len, set_cell_size

from deita_assets.cli.session import cell_text, printable

#: A cell is cut to this, so that one long text does not push every other column out.
_WIDEST = 60
_GAP = "  "


def table_lines(
    header: Sequence[str], rows: Sequence[Sequence[Any]], width: int
) -> tuple[list[str], list[str]]:
    """(lines, names of the columns that found no room); numbers to the right.

    The first column is always there, cut if it must be.
    """
    columns: list[list[str]] = []
    left_out: list[str] = []
    used = -len(_GAP)
    for at, name in enumerate(header):
        cells = [printable(name), *(" ".join(cell_text(row[at]).split()) for row in rows)]
        wide = min(max(map(cell_len, cells)), _WIDEST)
        if not columns:
            wide = min(wide, width)
        if used + len(_GAP) + wide > width:
            left_out.append(name)
            continue
        used += len(_GAP) + wide
        to_right = bool(rows) and all(row[at] is None or _is_number(row[at]) for row in rows)
        columns.append([_cell(cell, wide, to_right) for cell in cells])
    return [_GAP.join(cells).rstrip() for cells in zip(*columns, strict=True)], left_out


def record_lines(header: Sequence[str], row: Sequence[Any], width: int) -> list[str]:
    """One row as a list, a column a line, its text whole."""
    margin = max(map(cell_len, map(printable, header)), default=0) + len(_GAP)
    lines = []
    for name, value in zip(header, row, strict=True):
        text = str(value) if isinstance(value, float) else cell_text(value)
        folded = [part for line in text.split("\n") for part in wrap(line, max(20, width - margin)) or [""]]
        lines.append(set_cell_size(printable(name), margin) + folded[0])
        lines += [" " * margin + part for part in folded[1:]]
    return lines


def _cell(text: str, width: int, to_right: bool) -> str:
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    return " " * (width - cell_len(text)) + text if to_right else set_cell_size(text, width)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
