"""What every command shares: home, output, and the Dagster side when it is needed.

What belongs here: opening things late and printing things once. What does not: any command's own text.
"""

from __future__ import annotations

import functools
import json
import math
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deita_assets.stores.disk import disk_errors_told
from deita_assets.stores.home import Home

if TYPE_CHECKING:
    import duckdb
    from dagster import DagsterInstance

    from deita_assets.defs.automation.curation import Curation, Ran
    from deita_assets.defs.platform import Platform
    from deita_assets.settings import DeitaSettings


_PIPE_WIDTH = 400


class Terminal(Console):
    """Prints text as text: what a file, a column or a row is called cannot move the cursor or set a title."""

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich does; markup in a text still holds, so foreign text is escaped or printed without it."""
        super().print(*(printable(one) if isinstance(one, str) else one for one in objects), **options)


class Session:
    """One command's home and output; Dagster, DuckDB and settings open on first use."""

    def __init__(self, home: str | None, as_json: bool) -> None:
        self.home = Home.at(home)
        self.as_json = as_json
        # A pipe has no width: what goes into one is not folded, so that grep finds whole ids.
        width = None if sys.stdout.isatty() else _PIPE_WIDTH
        self.out = Terminal(highlight=False, soft_wrap=True, quiet=as_json, width=width)
        self.err = Terminal(stderr=True, highlight=False, soft_wrap=True)

    @cached_property
    def settings(self) -> DeitaSettings:
        """Settings of this home."""
        from deita_assets.settings import load_settings

        return load_settings(self.home)

    @cached_property
    def instance(self) -> DagsterInstance:
        """The Dagster instance of this home, with the runs of dead processes cleared."""
        from deita_assets.defs.automation.dead_runs import clear_dead_runs
        from deita_assets.defs.instance import open_instance

        instance = open_instance(self.home)
        for run_id in clear_dead_runs(instance):
            self.err.print(
                f"run {run_id[:8]} was cut off; its process is gone. It is marked as ended, work resumes."
            )
        return instance

    @cached_property
    def platform(self) -> Platform:
        """The resource that assets use."""
        from deita_assets.defs.platform import Platform

        return Platform(home_path=str(self.home.root))

    @cached_property
    def curation(self) -> Curation:
        """Runs of this command."""
        warnings.filterwarnings("ignore", module="dagster")  # preview notices about Dagster's own internals
        from deita_assets.definitions import build_defs
        from deita_assets.defs.automation.curation import Curation
        from deita_assets.engines.progress import keep_terminal

        keep_terminal()
        instance = self.instance
        definitions = build_defs(home_path=str(self.home.root))
        return Curation(definitions, instance, self.platform, self._show_run, self._show_start)

    def known_sources(self) -> list[str]:
        """Sources that Dagster knows, in name order."""
        return sorted(self.instance.get_dynamic_partitions("source"))

    def emit(self, document: Any) -> None:
        """The one JSON document of this command; nothing without `--json`."""
        if self.as_json:
            sys.stdout.write(json_text(_plain(document)) + "\n")

    def table(self, title: str, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Print a table; numbers to the right."""
        shown = Table(
            title=escape(printable(title)) or None,
            title_justify="left",
            box=None,
            pad_edge=False,
            header_style="bold",
        )
        for at, name in enumerate(header):
            numeric = bool(rows) and all(isinstance(row[at], int | float) or row[at] is None for row in rows)
            shown.add_column(escape(printable(name)), justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            shown.add_row(*(escape(cell_text(value)) for value in row))
        self.out.print(shown)

    def _show_start(self, partition: str, assets: Sequence[str]) -> None:
        if not self.as_json and sys.stderr.isatty():
            self.err.print(f"[dim]… {escape(partition)} {' '.join(assets)}[/dim]", end="\r")

    def _show_run(self, ran: Ran) -> None:
        state = "current" if ran.skipped else f"{ran.seconds:.1f} s"
        name = f"[{ran.partition}]" if ran.partition else ""
        note = f" ({ran.note})" if ran.note else ""
        self.err.print(f"  {escape(' -> '.join(ran.assets) + name)}  {state}{escape(note)}")


def _plain(value: Any) -> Any:
    """A value as JSON can hold it: NaN and infinities become null, decimals numbers."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


#: Control and direction characters: printed raw, a row could move the cursor, set the title or reverse a line.
#: Half a surrogate pair, as a file name may hold, could not be written at all.
_CONTROL = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    """Text without anything that a terminal would obey."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def json_text(document: Any) -> str:
    """A document as JSON on one line; what a terminal would obey, and what UTF-8 cannot hold, as escapes of JSON."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, default=str)
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def cell_text(value: Any) -> str:
    """How a value reads in a table."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}"
    return printable(str(value))


def one_line(text: str, width: int = 100) -> str:
    """Text on one line, cut to `width` characters."""
    flat = printable(" ".join(text.split()))
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def dictionaries(con: duckdb.DuckDBPyConnection, query: str, parameters: Any = None) -> list[dict[str, Any]]:
    """Rows of a query as dictionaries with the SQL column names."""
    cursor = con.execute(query, parameters) if parameters is not None else con.execute(query)
    names = _distinct([column[0] for column in cursor.description or []])
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _distinct(names: list[str]) -> list[str]:
    """Column names with a number behind repeated ones, so that no column is lost."""
    seen: Counter[str] = Counter()
    distinct = []
    for name in names:
        seen[name] += 1
        distinct.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return distinct


def with_session(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command its `Session`, and let `--home` and `--json` stand after it as well as before."""

    @click.option("--home", type=click.Path(), help="Home folder [default: $DEITA_HOME or ./deita_home].")
    @click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
    @functools.wraps(function)
    def command(home: str | None, as_json: bool, **options: Any) -> Any:
        common = click.get_current_context().obj or {}
        session = Session(home or common.get("home"), as_json or bool(common.get("json")))
        with disk_errors_told():
            return function(session, **options)

    return command
