"""Progress of long loops: how much is done, how fast, how long still.

What belongs here: counting and throttling. What does not: where the line is shown (a terminal bar, a run log).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

#: Seconds between two log lines: each one is a row in Dagster's event log.
LOG_EVERY_S = 10.0


@dataclass
class Progress:
    """Counts rows and weight (characters); the time left is estimated by weight because rows differ in length."""

    total_rows: int
    total_weight: int
    show: Callable[[Progress], None]
    every_s: float = LOG_EVERY_S
    rows: int = 0
    weight: int = 0
    started: float = field(default_factory=time.monotonic)
    _shown: float = field(default_factory=time.monotonic)

    def advance(self, rows: int, weight: int) -> None:
        """Count a finished batch; shows a line when the last one is `every_s` old."""
        self.rows += rows
        self.weight += weight
        now = time.monotonic()
        if now - self._shown >= self.every_s:
            self._shown = now
            self.show(self)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return max(time.monotonic() - self.started, 1e-9)

    @property
    def rows_per_s(self) -> float:
        """Rows per second since the start."""
        return self.rows / self.seconds

    @property
    def seconds_left(self) -> float:
        """Estimated seconds to the end; 0 before anything is known."""
        return self.seconds * (self.total_weight - self.weight) / self.weight if self.weight else 0.0

    def line(self) -> str:
        """`4,000 of 17,684 rows, 212 rows/s, 1 min 4 s left`."""
        done = f"{self.rows:,} of {self.total_rows:,} rows"
        return f"{done}, {self.rows_per_s:,.0f} rows/s, {duration(self.seconds_left)} left"


def duration(seconds: float) -> str:
    """`48 s`, `3 min 20 s` or `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@contextmanager
def terminal_bar(title: str) -> Iterator[Callable[[Progress], None] | None]:
    """A progress bar on stderr when that is a terminal, else None."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[line]}"))
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None, line="")

        def show(progress: Progress) -> None:
            bar.update(task, total=progress.total_weight, completed=progress.weight, line=progress.line())

        yield show
