"""Progress of a step while it runs: a bar in the terminal, else lines; observations in the events of its asset.

A step of up to 10 s leaves one line in its run's log and no observation. A longer one is observed every 10 s and at
its end.

What belongs here: where progress is shown. What does not: counting (engines.progress).
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import dagster as dg
from dagster import PipesMessageHandler, PipesMessageReader
from dagster_pipes import PipesMessage, PipesParams

from deita_assets.engines.progress import (
    BAR_EVERY_S,
    LOG_EVERY_S,
    PROGRESS,
    Progress,
    Standing,
    terminal_bar,
)

#: A whole pass as weight.
_WHOLE = 10_000

Show = Callable[[Standing], None]


@contextmanager
def progress_shown(context: dg.AssetExecutionContext, title: str) -> Iterator[Show]:
    """What shows the standing of one step, however often it is called."""
    began = told = time.monotonic()
    with terminal_bar(title) as bar:

        def show(now: Standing) -> None:
            nonlocal told
            if bar:
                bar(now)
            moment = time.monotonic()
            if moment - told < LOG_EVERY_S and not now.ended:
                return
            told = moment
            if moment - began < LOG_EVERY_S:
                context.log.info(f"{title}: {now.line}")
                return
            context.log_event(_observation(context, now))
            if not bar:
                sys.stderr.write(f"  {title}: {now.line}\n")

        yield show


def _observation(context: dg.AssetExecutionContext, now: Standing) -> dg.AssetObservation:
    return dg.AssetObservation(
        asset_key=context.asset_key,
        partition=context.partition_key if context.has_partition_key else None,
        description=now.line,
        metadata={PROGRESS: dg.MetadataValue.text(now.line)},
    )


@contextmanager
def pass_progress(
    context: dg.AssetExecutionContext, title: str, n_rows: int, depth: int | None = None
) -> Iterator[Callable[[int, int], None]]:
    """What a pass over `n_rows` rows tells (rows visited, rows kept); it ends early once it has kept `depth`."""
    n_kept = 0
    with progress_shown(context, title) as show:
        progress = Progress(
            n_rows, _WHOLE, lambda now: show(now.standing(f"{n_kept:,} kept")), every_s=BAR_EVERY_S
        )

        def on_progress(visited: int, kept: int) -> None:
            nonlocal n_kept
            n_kept = kept
            done = max(visited / max(n_rows, 1), kept / depth if depth else 0.0)
            progress.advance(visited - progress.rows, int(_WHOLE * min(done, 1.0)) - progress.weight)

        yield on_progress
        progress.finish()


@contextmanager
def bytes_progress(context: dg.AssetExecutionContext, title: str) -> Iterator[Callable[[int, int], None]]:
    """What a reading of files tells (bytes read, bytes in all)."""
    with progress_shown(context, title) as show:
        progress = Progress(0, 0, lambda now: show(now.standing()), every_s=BAR_EVERY_S, unit="bytes")

        def on_progress(read: int, total: int) -> None:
            progress.total_rows = progress.total_weight = total
            progress.advance(read - progress.rows, read - progress.rows)

        yield on_progress
        progress.finish()


def observed(pipes: dg.PipesSubprocessClient, show: Show) -> dg.PipesSubprocessClient:
    """The same client, which hands a child's standings to `show` as they come, in a thread of its own.

    Dagster keeps custom messages of a child until it has ended.
    """
    client = copy.copy(pipes)
    client.message_reader = _LiveReader(pipes.message_reader, show)
    return client


class _LiveReader(PipesMessageReader):
    """Reads as another reader does, and takes out what tells of progress."""

    def __init__(self, inner: PipesMessageReader, show: Show) -> None:
        self._inner, self._show = inner, show

    @contextmanager
    def read_messages(self, handler: PipesMessageHandler) -> Iterator[PipesParams]:
        """The inner reader's messages, seen first."""
        live = cast(PipesMessageHandler, _LiveHandler(handler, self._show))
        with self._inner.read_messages(live) as parameters:
            yield parameters

    def no_messages_debug_text(self) -> str:
        """What the inner reader says when nothing came."""
        return self._inner.no_messages_debug_text()


class _LiveHandler:
    """What a reader knows of a handler; all but standings goes on to the real one."""

    def __init__(self, handler: PipesMessageHandler, show: Show) -> None:
        self._handler, self._show = handler, show

    def __getattr__(self, name: str) -> Any:
        return getattr(self._handler, name)

    def handle_message(self, message: Mapping[str, Any]) -> None:
        """Show a standing; hand on anything else."""
        payload = (message["params"] or {}).get("payload")
        if message["method"] == "report_custom_message" and isinstance(payload, dict) and PROGRESS in payload:
            self._show(Standing(**payload[PROGRESS]))
        else:
            self._handler.handle_message(cast(PipesMessage, message))
