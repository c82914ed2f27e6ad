"""A trial: a few rows of what is left are computed, and speak for all of it.

What is left is put in order of length and cut into `STRATA` parts of equal weight in characters. A sample of each part
is split into tokens, a trial out of it is computed, and both are scaled up part by part: tokens by characters, time by
tokens (by characters where a model has none). What costs more in long rows (attention) or in short ones (a fixed price
for each row), and what a window cuts off, therefore weighs as much as it does in the pool.

A trial begins with `TRIAL_ROWS` rows. While it takes less than `TRIAL_S` it is made again with four times as many: a
few rows fill neither the batches of an accelerator nor the cores of a CPU, and would look slower than a run is.

What belongs here: which rows, and what follows from them. What does not: what else a run pays for (`estimate`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TypeAlias, TypeVar

from deita_assets.engines.cover import FETCH_KEYS, Step, Text, tokens_read
from deita_assets.stores.warehouse import Warehouse

#: Rows of the first trial.
TRIAL_ROWS = 20
#: A trial of at least this length is believed.
TRIAL_S = 4.0
#: Parts of equal weight, each with its own speed.
STRATA = 5
#: Rows whose tokens are counted, and the most that a trial computes: as many as a run fetches at once.
SAMPLE_ROWS = FETCH_KEYS

Left: TypeAlias = Mapping[str, tuple[int, str]]
"""(characters, source) of every key that is to be computed."""
_T = TypeVar("_T")


@dataclass(frozen=True)
class Trial:
    """What a trial says of all that is left.

    Attributes:
        tokens: tokens that the model will read; None when it has none.
        share_over_window: share of rows longer than its window, in [0, 1]; None without tokens.
        seconds: time to compute everything.
        fetch_seconds: time to read its texts from the warehouse.
        load_seconds: time to the first result, with the loading of the model.
    """

    tokens: int | None
    share_over_window: float | None
    seconds: float
    fetch_seconds: float
    load_seconds: float


@dataclass(frozen=True)
class _Stratum:
    """A part of what is left, of neighbours in length, and what its sample says of it.

    Attributes:
        n_rows: rows in it.
        sample: texts, evenly spread over its lengths.
        weights: tokens of each text of the sample, or its characters where the model has no tokens.
        weight: the same for the whole part.
        share_over: share of rows beyond the window; None without tokens.
    """

    n_rows: int
    sample: Sequence[Text]
    weights: Sequence[int]
    weight: float
    share_over: float | None


def run_trial(warehouse: Warehouse, step: Step, left: Left) -> Trial:
    """Compute some of what is left, and say what all of it takes; stores nothing.

    Args:
        warehouse: where the texts are.
        step: what is to be done.
        left: what is left; not empty.
    """
    parts = _parts(left)
    samples = [_spread(part, SAMPLE_ROWS // STRATA) for part in parts]
    began = monotonic()
    texts = _texts(warehouse, step, left, [key for sample in samples for key in sample])
    fetch_s = (monotonic() - began) * max(1.0, len(left) / SAMPLE_ROWS)
    began = monotonic()
    step.compute([texts[samples[0][0]]])
    load_s = monotonic() - began
    strata = [_stratum(step, left, part, sample, texts) for part, sample in zip(parts, samples, strict=True)]
    over = [stratum.share_over * stratum.n_rows for stratum in strata if stratum.share_over is not None]
    return Trial(
        tokens=round(sum(stratum.weight for stratum in strata)) if over else None,
        share_over_window=sum(over) / len(left) if over else None,
        seconds=_seconds(step, strata),
        fetch_seconds=fetch_s,
        load_seconds=load_s,
    )


def _parts(left: Left) -> list[list[str]]:
    """Keys in at most `STRATA` parts of equal weight, in order of length, none of them empty.

    A row weighs its characters and one more, so that empty ones weigh something.
    """
    by_length = sorted(left, key=lambda key: (left[key][0], key))
    total = _weight(left, by_length)
    parts: list[list[str]] = [[] for _ in range(STRATA)]
    before = 0
    for key in by_length:
        parts[before * STRATA // total].append(key)
        before += left[key][0] + 1
    return [part for part in parts if part]


def _weight(left: Left, keys: Sequence[str]) -> int:
    return sum(left[key][0] + 1 for key in keys)


def _spread(sequence: Sequence[_T], most: int) -> list[_T]:
    """At most so many of a sequence, from the middles of equal parts."""
    n = min(most, len(sequence))
    return [sequence[(2 * at + 1) * len(sequence) // (2 * n)] for at in range(n)]


def _texts(warehouse: Warehouse, step: Step, left: Left, keys: Sequence[str]) -> dict[str, Text]:
    texts: dict[str, Text] = {}
    with warehouse.read(f"estimate {step.name}: sample") as con:
        for source in sorted({left[key][1] for key in keys}):
            texts |= step.fetch(con, source, [key for key in keys if left[key][1] == source])
    return texts


def _stratum(
    step: Step, left: Left, part: Sequence[str], sample: Sequence[str], texts: Mapping[str, Text]
) -> _Stratum:
    read = [texts[key] for key in sample]
    counted = tokens_read(step, read)
    whole = _weight(left, part)
    if counted is None:
        return _Stratum(len(part), read, [left[key][0] + 1 for key in sample], whole, None)
    tokens, n_over = counted
    scaled = sum(tokens) * whole / _weight(left, sample)
    return _Stratum(len(part), read, tokens, scaled, n_over / len(sample))


def _seconds(step: Step, strata: Sequence[_Stratum]) -> float:
    """Seconds that all strata take, by as many rows of each as it takes to be sure."""
    rows, most = TRIAL_ROWS // STRATA, max(len(stratum.sample) for stratum in strata)
    while True:
        taken, scaled = 0.0, 0.0
        for stratum in strata:
            at = _spread(range(len(stratum.sample)), rows)
            began = monotonic()
            step.compute([stratum.sample[place] for place in at])
            seconds = monotonic() - began
            taken += seconds
            scaled += seconds * stratum.weight / max(1, sum(stratum.weights[place] for place in at))
        if taken >= TRIAL_S or rows >= most:
            return scaled
        rows *= 4
