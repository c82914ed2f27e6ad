"""Ctrl-C and terminations while a run is under way: they end all of it, at once, and leave no run unfinished.

What belongs here: the answer to signals in the process that runs assets. What does not: the model's process
(engines.child), which the kernel ends, and what is printed (cli).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import dagster as dg

_BEGUN = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

#: What DuckDB says, in a RuntimeError, when a signal's answer raised anything during a query.
_DUCKDB_INTERRUPTED = "Query interrupted"


class StoppedByHandError(dg.DagsterError, KeyboardInterrupt):
    """Ctrl-C or a termination: the whole run is to end, now.

    Dagster answers an interrupt in an asset by the asset's retry policy and goes on with the others. Its own errors
    pass its retry policies, and KeyboardInterrupt ends a run: hence both bases.
    """


def is_interrupt(error: BaseException) -> bool:
    """Whether an error in an asset is the answer to a signal."""
    if isinstance(error, dg.DagsterExecutionInterruptedError | KeyboardInterrupt):
        return True
    return isinstance(error, RuntimeError) and str(error) == _DUCKDB_INTERRUPTED


def stop_run(context: dg.AssetExecutionContext) -> StoppedByHandError:
    """What to raise in an asset that was interrupted; the run becomes a cancelled one."""
    with suppress(ValueError):  # another thread than the main one gets no signal either
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C; Dagster sets its own handler again
    context.instance.report_run_canceling(context.run, "stopped by hand")
    return StoppedByHandError("stopped by hand")


def let_interrupts_through() -> None:
    """Called as an asset begins: what `interruptible` held back comes now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def interruptible(instance: dg.DagsterInstance, tags: dict[str, str]) -> Iterator[None]:
    """Around a run in this process: an interrupt ends it, whenever it comes.

    Ctrl-C is held back until the first asset begins, a second at most: the processes that Dagster starts before, to
    show what assets print, inherit that; they would die of it, each with a traceback. Dagster drops what comes after
    the last asset, so every signal is noted on a pipe too.

    Args:
        instance: where the run is recorded.
        tags: of the run; a run with these tags that is not finished is cancelled.

    Raises:
        KeyboardInterrupt: at the end, when a signal came.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # So a script starts what it runs in the background; after its first run Dagster would ignore SIGTERM too.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    noted, note = os.pipe()
    os.set_blocking(noted, False)
    os.set_blocking(note, False)
    before = signal.set_wakeup_fd(note, warn_on_full_buffer=False)
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    except KeyboardInterrupt:
        for run in instance.get_runs(dg.RunsFilter(tags=tags, statuses=_BEGUN)):
            instance.report_run_canceled(run, "stopped by hand")
        raise
    finally:
        signal.set_wakeup_fd(before)
        came = _read(noted)
        os.close(note)
        os.close(noted)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
    if {signal.SIGINT, signal.SIGTERM} & set(came):
        raise KeyboardInterrupt


def _read(pipe: int) -> bytes:
    """Numbers of the signals that came, a byte each; none when the pipe is empty."""
    with suppress(BlockingIOError):
        return os.read(pipe, 4096)
    return b""
