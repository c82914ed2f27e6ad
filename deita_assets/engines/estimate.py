"""What is left to score and embed, and how long that will take: measured on a small trial, not guessed.

What belongs here: counting and the trial. What does not: the loop that does the work (cover).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from deita_assets.engines.cover import Step, Text
from deita_assets.stores import scored
from deita_assets.stores.warehouse import Warehouse

#: Rows of a trial, spread evenly over the lengths that are left.
TRIAL_ROWS = 20


@dataclass(frozen=True)
class Estimate:
    """What one step still has to do over some sources."""

    step: str
    fingerprint: str
    n_wanted: int
    n_left: int
    chars_left: int
    tokens_left: int | None
    share_over_window: float | None
    seconds: float
    disk_bytes: int


def estimate_step(warehouse: Warehouse, step: Step, sources: Sequence[str]) -> Estimate:
    """Count what is left of a step and time a trial of it; stores nothing."""
    left: dict[str, tuple[int, str]] = {}
    wanted: set[str] = set()
    with warehouse.read(f"estimate {step.name}") as con:
        for source in sources:
            keys = scored.wanted_keys(con, source, step.name)
            for key, n_chars in zip(keys["key"].to_pylist(), keys["n_chars"].to_pylist(), strict=True):
                left.setdefault(key, (int(n_chars or 0), source))
    wanted = set(left)
    for key in step.present() & wanted:
        del left[key]
    trial = _trial_texts(warehouse, step, left)
    chars = sum(n for n, _ in left.values())
    trial_chars = sum(left[key][0] for key in trial) or 1
    seconds = _time(step, list(trial.values())) * chars / trial_chars if trial else 0.0
    tokens, over = _tokens(step, trial, chars / trial_chars)
    return Estimate(
        step.name,
        step.fingerprint.digest,
        len(wanted),
        len(left),
        chars,
        tokens,
        over,
        seconds,
        len(left) * step.result_bytes,
    )


def _trial_texts(warehouse: Warehouse, step: Step, left: dict[str, tuple[int, str]]) -> dict[str, Text]:
    by_length = sorted(left, key=lambda key: (left[key][0], key))
    n_rows = min(TRIAL_ROWS, len(by_length))
    chosen = [by_length[(2 * at + 1) * len(by_length) // (2 * n_rows)] for at in range(n_rows)]
    texts: dict[str, Text] = {}
    with warehouse.read(f"estimate {step.name}: trial") as con:
        for source in sorted({left[key][1] for key in chosen}):
            texts |= scored.texts(con, step.name, source, [key for key in chosen if left[key][1] == source])
    return texts


def _time(step: Step, texts: list[Text]) -> float:
    step.compute(texts[:2])  # loads the model and warms it up
    began = monotonic()
    step.compute(texts)
    return monotonic() - began


def _tokens(step: Step, trial: dict[str, Text], scale: float) -> tuple[int | None, float | None]:
    counted = step.tokens(list(trial.values())) if trial else None
    if counted is None:
        return None, None
    tokens, window = counted
    return round(sum(tokens) * scale), sum(n > window for n in tokens) / len(tokens)
