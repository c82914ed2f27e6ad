"""Progress of long loops: how much is done, how fast, how long still.

What belongs here: counting, throttling, and the bar in a terminal. What does not: the log of a run (defs.progress).
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Literal

#: Seconds between two log lines: each one is a row in Dagster's event log.
LOG_EVERY_S = 10.0
#: Key under which a standing travels: in a child's message, and as the one metadata key of an observation of progress,
#: because Dagster lays an observation's metadata over the materialisation's.
PROGRESS = "progress"
#: Seconds between two movements of a bar.
BAR_EVERY_S = 0.5
#: The time left goes by the speed of about this last time: lengths fall as a run goes on, and with them its speed.
RECENT_S = 60.0


@dataclass(frozen=True)
class Standing:
    """Progress at one moment, as plain values that go from process to process.

    Attributes:
        rows: rows done (bytes, where the unit is that).
        total_rows: rows to do.
        share: of the whole work, in [0, 1].
        rows_per_second: since the start.
        seconds: since the start.
        seconds_left: estimated; 0 at the end and before anything is known.
        ended: whether this is the last one.
        line: all of it in words.
    """

    rows: int
    total_rows: int
    share: float
    rows_per_second: float
    seconds: float
    seconds_left: float
    ended: bool
    line: str


@dataclass
class Progress:
    """Counts rows, tokens and weight (characters); the time left goes by weight because rows differ in length.

    Attributes:
        total_rows: rows to do.
        total_weight: their weight.
        show: called with this after a batch, at most every `every_s` seconds, and at the end.
        weight_unit: what a weight counts, for the line (`characters`); empty when it says no more than rows.
        tokens: tokens read so far; None when the model has none.
        unit: what is counted as rows, for the line.
    """

    total_rows: int
    total_weight: int
    show: Callable[[Progress], None]
    every_s: float = LOG_EVERY_S
    weight_unit: str = ""
    rows: int = 0
    weight: int = 0
    tokens: int | None = None
    unit: Literal["rows", "bytes"] = "rows"
    started: float = field(default_factory=lambda: time.monotonic())
    _shown: float = field(default_factory=lambda: time.monotonic())
    _ended: float | None = None
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    def advance(self, rows: int, weight: int, tokens: int | None = None) -> None:
        """Count a finished batch; shows a line when the last one is `every_s` old and there is more to do."""
        self.rows += rows
        self.weight += weight
        if tokens is not None:
            self.tokens = (self.tokens or 0) + tokens
        now = time.monotonic()
        self._mark(now)
        if now - self._shown >= self.every_s and self.rows < self.total_rows:
            self._show(now)

    def finish(self) -> None:
        """Stop the clock and show the last line, unless nothing was done."""
        self._ended = time.monotonic()
        if self.rows:
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
        parts = self._amounts()
        if self.tokens is not None:
            parts.append(f"{_rate(self.tokens / self.seconds)} tokens/s")
        elif self.weight_unit:
            parts.append(f"{_rate(self.weight / self.seconds)} {self.weight_unit}/s")
        done = self._ended is not None or self.weight >= self.total_weight
        last = f"{duration(self.seconds)} in all" if done else f"{duration(self.seconds_left)} left"
        return ", ".join([*parts, last])

    def standing(self, note: str = "") -> Standing:
        """This moment; `note` stands at the end of its line."""
        done = self.ended or self.weight >= self.total_weight
        return Standing(
            rows=self.rows,
            total_rows=self.total_rows,
            share=1.0 if done else max(0.0, self.weight / max(self.total_weight, 1)),
            rows_per_second=round(self.rows_per_s, 2),
            seconds=round(self.seconds, 1),
            seconds_left=0.0 if done else round(self.seconds_left, 1),
            ended=self.ended,
            line=self.line() + (f"; {note}" if note else ""),
        )

    def _amounts(self) -> list[str]:
        if self.unit == "bytes":
            done, total, per_s = (n / 1e6 for n in (self.rows, self.total_rows, self.rows_per_s))
            return [f"{done:,.1f} of {total:,.1f} MB", f"{per_s:,.1f} MB/s"]
        return [f"{self.rows:,} of {self.total_rows:,} rows", f"{_rate(self.rows_per_s)} rows/s"]

    def _show(self, now: float) -> None:
        self._shown = now
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


_terminal: IO[str] | None = None


def keep_terminal() -> None:
    """Remember the terminal that stderr is, if it is one: Dagster puts a file in its place while an asset runs."""
    global _terminal
    if _terminal is None and sys.stderr.isatty():
        _terminal = os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8", errors="replace")


@contextmanager
def terminal_bar(title: str) -> Iterator[Callable[[Standing], None] | None]:
    """A progress bar in the terminal that was kept, or that stderr is; None when there is none."""
    terminal = _terminal or (sys.stderr if sys.stderr.isatty() else None)
    if terminal is None:
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[line]}", markup=False),
    )
    console = Console(file=terminal, force_terminal=True, markup=False, highlight=False)
    with Bar(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as bar:
        task = bar.add_task(title, total=1.0, line="")
        yield lambda now: bar.update(task, completed=now.share, line=now.line)
