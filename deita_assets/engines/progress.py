"""Progress of long loops: how much is done, how fast, how long still.

What belongs here: counting and throttling. What does not: where the line is shown (a terminal bar, a run log).
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

#: Seconds between two log lines: each one is a row in Dagster's event log.
LOG_EVERY_S = 10.0


#: The time left goes by the speed of about this last time: lengths fall as a run goes on, and with them its speed.
RECENT_S = 60.0


@dataclass
class Progress:
    """Counts rows, tokens and weight (characters); the time left goes by weight because rows differ in length.

    Attributes:
        total_rows: rows to do.
        total_weight: their weight.
        show: called with this after a batch, at most every `every_s` seconds, and at the end.
        weight_unit: what a weight counts, for the line (`characters`); empty when it says no more than rows.
        tokens: tokens read so far; None when the model has none.
    """

    total_rows: int
    total_weight: int
    show: Callable[[Progress], None]
    every_s: float = LOG_EVERY_S
    weight_unit: str = ""
    rows: int = 0
    weight: int = 0
    tokens: int | None = None
    started: float = field(default_factory=time.monotonic)
    _shown: float = field(default_factory=time.monotonic)
    _shown_rows: int = 0
    _ended: float | None = None
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    def advance(self, rows: int, weight: int, tokens: int | None = None) -> None:
        """Count a finished batch; shows a line when the last one is `every_s` old."""
        self.rows += rows
        self.weight += weight
        if tokens is not None:
            self.tokens = (self.tokens or 0) + tokens
        now = time.monotonic()
        self._mark(now)
        if now - self._shown >= self.every_s:
            self._show(now)

    def finish(self) -> None:
        """Stop the clock and show the last line, unless there was nothing to do or it is shown already."""
        self._ended = time.monotonic()
        if self.rows > self._shown_rows:
            self._show(self._ended)

    @property
    def ended(self) -> bool:
        """Whether this is the last line."""
        return self._ended is not None

    @property
    def seconds(self) -> float:
        """Seconds from the start to now, or to the end."""
        now = time.monotonic() if self._ended is None else self._ended
        return max(now - self.started, 1e-9)

    @property
    def rows_per_s(self) -> float:
        """Rows per second since the start."""
        return self.rows / self.seconds

    @property
    def seconds_left(self) -> float:
        """Estimated seconds to the end, by the speed of the last minute or batch; 0 before anything is known."""
        if len(self._marks) < 2 or self.weight >= self.total_weight:
            return 0.0
        (began, before), (now, weight) = self._marks[0], self._marks[-1]
        return (self.total_weight - weight) * (now - began) / max(weight - before, 1)

    def line(self) -> str:
        """`4,000 of 17,684 rows, 212 rows/s, 40,115 tokens/s, 1 min 4 s left`; characters/s without tokens."""
        parts = [f"{self.rows:,} of {self.total_rows:,} rows", f"{_rate(self.rows_per_s)} rows/s"]
        if self.tokens is not None:
            parts.append(f"{_rate(self.tokens / self.seconds)} tokens/s")
        elif self.weight_unit:
            parts.append(f"{_rate(self.weight / self.seconds)} {self.weight_unit}/s")
        done = self._ended is not None or self.weight >= self.total_weight
        last = f"{duration(self.seconds)} in all" if done else f"{duration(self.seconds_left)} left"
        return ", ".join([*parts, last])

    def _show(self, now: float) -> None:
        self._shown, self._shown_rows = now, self.rows
        self.show(self)

    def _mark(self, now: float) -> None:
        """Remember where this batch ended; the first batch loads the model, and counts until there is another."""
        if not self._marks:
            self._marks.append((self.started, 0))
        self._marks.append((now, self.weight))
        while len(self._marks) > 2 and (
            self._marks[0][0] == self.started or now - self._marks[1][0] >= RECENT_S
        ):
            self._marks.popleft()


def _rate(per_s: float) -> str:
    return f"{per_s:,.0f}" if per_s >= 10 else f"{per_s:.1f}"


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
