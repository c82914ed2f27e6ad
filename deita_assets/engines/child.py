"""The child process in which models run: `python -m deita_assets.engines.child STEP SOURCE --home HOME`.

A crash of the model (out of memory, a segmentation fault) ends this process and not the Dagster run around it, whose
RetryPolicy starts another that resumes. The child ends with its parent. It speaks Dagster Pipes when started by a
run: the seam at which the same loop can move to a GPU box or a cluster.

What belongs here: starting, reporting and ending. What does not: the loop (cover) and the models.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # Ctrl-C: the kernel ends this process, whatever it is in the middle of. Results are committed whole, so nothing
    # is lost; Python would wait for its modules to load, for a batch, and for worker threads (a minute was seen).
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from deita_assets.embedders import load_embedder
from deita_assets.embedders.base import Embedder
from deita_assets.engines.cover import EmbedStep, ScoreStep, Step, cover_source
from deita_assets.engines.joint import distilled_step
from deita_assets.engines.progress import BAR_EVERY_S, LOG_EVERY_S, PROGRESS, Progress
from deita_assets.errors import DeitaError, LockTimeoutError
from deita_assets.scorers import load_scorer
from deita_assets.scorers.base import Measure, Scorer
from deita_assets.settings import DeitaSettings, load_settings
from deita_assets.stores.disk import disk_errors_told
from deita_assets.stores.home import Home
from deita_assets.stores.warehouse import Warehouse

#: Exit code for errors that another attempt would meet again (a missing model, a wrong setting).
PERMANENT = 3


def main(arguments: list[str] | None = None) -> int:
    """Run one step for one source; writes its outcome as JSON to the report file."""
    options = _parse(arguments)
    _end_with_parent(options.parent or os.getppid())
    report = Path(options.report) if options.report else None
    try:
        with disk_errors_told(), _channel(options.step, options.source) as (show, every_s):
            home = Home.at(options.home)
            step = build_step(home, load_settings(home), options.step)
            covered = cover_source(Warehouse(home), step, options.source, show=show, every_s=every_s)
    except LockTimeoutError as error:
        sys.stderr.write(f"{error}\n")
        return 1  # the next attempt may find the lock free
    except DeitaError as error:
        _write(report, {"error": type(error).__name__, "message": error.message, "cure": error.cure})
        sys.stderr.write(f"{error}\n")
        return PERMANENT
    _write(report, dataclasses.asdict(covered))
    return 0


def build_step(home: Home, settings: DeitaSettings, name: str) -> Step:
    """The step of that name (`complexity`, `quality`, `embedding`) with the model that settings choose.

    Raises:
        ScorerError: the scorer's model cannot be found or loaded.
        EmbedderError: the embedder's model cannot be found or loaded.
    """
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # read when transformers is first imported
    if name == "embedding":
        return EmbedStep(home, _embedder(settings))
    measure: Measure = "complexity" if name == "complexity" else "quality"
    if settings.scorer.name == "distilled":
        # Only the packaged embedder can be the scorer's own encoder; others may be costly to look at.
        embedded_as = _embedder(settings).fingerprint if settings.embedder.name == "minilm" else None
        return distilled_step(
            home, settings.scorer, measure, workers=_cores(), embedder_fingerprint=embedded_as
        )
    return ScoreStep(home, _scorer(settings, measure))


def _embedder(settings: DeitaSettings) -> Embedder:
    chosen = settings.embedder
    # What the embedder does not know is refused, so nothing that was set is passed over.
    options: dict[str, Any] = chosen.model_dump(exclude={"name"}, exclude_defaults=True)
    if chosen.name != "causal_lm":
        options["workers"] = _cores()
    return load_embedder(chosen.name, **options)


def _cores() -> int:
    """Cores that this process may use; `OMP_NUM_THREADS` says otherwise, as it does to torch."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return int(asked) if asked.isdigit() and int(asked) else len(os.sched_getaffinity(0))


def _scorer(settings: DeitaSettings, measure: Measure) -> Scorer:
    chosen = settings.scorer
    if chosen.name == "heuristic":
        return load_scorer("heuristic", measure)
    model, revision = {
        "complexity": (chosen.complexity_model, chosen.complexity_revision),
        "quality": (chosen.quality_model, chosen.quality_revision),
    }[measure]
    options = chosen.model_dump(include={"device", "dtype", "max_length", "truncation"})
    return load_scorer("deita", measure, model=model, revision=revision or chosen.revision, **options)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="deita_assets.engines.child")
    parser.add_argument("step", choices=("complexity", "quality", "embedding"))
    parser.add_argument("source")
    parser.add_argument("--home", required=True)
    parser.add_argument("--report")
    parser.add_argument("--parent", type=int)
    return parser.parse_args(arguments)


@contextlib.contextmanager
def _channel(step: str, source: str) -> Iterator[tuple[Callable[[Progress], None], float]]:
    """Where progress goes, and every how many seconds: to the run that started this child, else to stderr."""
    if "DAGSTER_PIPES_CONTEXT" not in os.environ:
        yield lambda now: _say(f"  {source} {step}: {now.line()}\n"), LOG_EVERY_S
        return
    from dagster_pipes import open_dagster_pipes

    with open_dagster_pipes() as pipes:
        yield (
            lambda now: pipes.report_custom_message({PROGRESS: dataclasses.asdict(now.standing())}),
            BAR_EVERY_S,
        )


def _say(line: str) -> None:
    sys.stderr.write(line)


def _end_with_parent(parent: int) -> None:
    """End this process within a second of its parent's death, so that no orphan scores on.

    The parent is named by itself: one that died while this process still imported is known by nothing else.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _write(report: Path | None, outcome: dict[str, Any]) -> None:
    if report:
        report.write_text(json.dumps(outcome), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
