"""Covering a pool: give every key of a source its score or vector, each exactly once per fingerprint.

The loop resumes by anti-join on keys, never by a cursor: DuckDB and LanceDB share no transaction, and a cursor would
skip what a kill left between them. Results are committed every few seconds, so a kill costs at most that much work.

What belongs here: the loop and its two kinds of step. What does not: models, and Dagster.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from deita_assets.core.conversation import Conversation
from deita_assets.core.fingerprint import Fingerprint, sha256_hex
from deita_assets.embedders.base import Embedder
from deita_assets.engines.progress import LOG_EVERY_S, Progress
from deita_assets.errors import EmbedderError, ScorerError
from deita_assets.scorers.base import SCORED, Scorer, Status
from deita_assets.stores import pool, scored
from deita_assets.stores.home import Home
from deita_assets.stores.lock import file_lock
from deita_assets.stores.vectors import EmbeddingTable, ScoreTable, comparable
from deita_assets.stores.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb

#: Work lost by a kill is at most about this long; shorter commits would fill Lance with tiny versions.
COMMIT_S = 4.0
#: Keys whose texts are fetched from the warehouse at a time.
FETCH_KEYS = 2_000
#: The longest text alone: nothing is known yet, and on a CPU a large scorer takes minutes for one prompt.
_FIRST_BATCH = 1
#: A second scoring run of one (measure, fingerprint) waits this long for the first: a big pool takes hours.
LOCK_WAIT_S = 24 * 3600.0

#: Cure of a scorer or embedder that broke its contract.
_CONTRACT = "Nothing of this batch was stored. Correct the model's code, or choose another one in deita.toml."

Text = tuple[str, str]


@runtime_checkable
class TokenCounting(Protocol):
    """A scorer that reads tokens, through a window."""

    window: int

    def count_tokens(self, turns: Sequence[Text]) -> list[int]:
        """Tokens of each turn's whole prompt."""
        ...


class Step(Protocol):
    """One kind of result to cover a pool with."""

    name: str
    fingerprint: Fingerprint
    result_bytes: int

    def present(self) -> set[str]:
        """Keys that have a result already."""
        ...

    def fetch(self, con: duckdb.DuckDBPyConnection, source: str, keys: Sequence[str]) -> dict[str, Text]:
        """What the step reads of each key."""
        ...

    def compute(self, texts: Sequence[Text]) -> Any:
        """Results without storing them."""
        ...

    def tokens(self, texts: Sequence[Text]) -> tuple[list[int], int] | None:
        """Tokens of each whole text, and the model's window; None when it has no tokens."""
        ...

    def commit(self, keys: Sequence[str], texts: Sequence[Text]) -> Counter[str]:
        """Compute and store results; returns how many of each status."""
        ...


class ScoreStep:
    """Scores of one measure, keyed by prompt."""

    #: One stored score with its keys, measured on a table of 600,000.
    result_bytes = 90

    def __init__(self, home: Home, scorer: Scorer) -> None:
        self.name: str = scorer.measure
        self.fingerprint = scorer.fingerprint
        self._scorer = scorer
        self._table = ScoreTable(home)

    def present(self) -> set[str]:
        """Prompts that have a result of this scorer."""
        return self._table.prompts(self.name, self.fingerprint.digest)

    def fetch(self, con: duckdb.DuckDBPyConnection, source: str, keys: Sequence[str]) -> dict[str, Text]:
        """(instruction, response) of each prompt."""
        return scored.texts(con, self.name, source, keys)

    def tokens(self, texts: Sequence[Text]) -> tuple[list[int], int] | None:
        """Token counts of whole prompts, for scorers that are language models."""
        if not isinstance(self._scorer, TokenCounting):
            return None
        return self._scorer.count_tokens(texts), self._scorer.window

    def compute(self, texts: Sequence[Text]) -> tuple[NDArray[np.float64], list[Status]]:
        """Scores and statuses of prompts."""
        return self._scorer.score_turns(texts)

    def commit(self, keys: Sequence[str], texts: Sequence[Text]) -> Counter[str]:
        """Score prompts and store them.

        Raises:
            ScorerError: the scorer broke its contract.
        """
        scores, statuses = self.compute(texts)
        check_scores(self.name, len(texts), scores, statuses)
        self._table.insert(self.name, self.fingerprint.digest, keys, scores, statuses)
        return Counter(statuses)


class EmbedStep:
    """Vectors of one embedder, keyed by content."""

    name = "embedding"

    def __init__(self, home: Home, embedder: Embedder) -> None:
        self.fingerprint = embedder.fingerprint
        self.result_bytes = 2 * embedder.dimension + 64  # fp16 vector and its key
        self._embedder = embedder
        self._table = EmbeddingTable(home, embedder.fingerprint.digest, embedder.dimension)

    def present(self) -> set[str]:
        """Contents that have a vector of this embedder."""
        return self._table.contents()

    def fetch(self, con: duckdb.DuckDBPyConnection, source: str, keys: Sequence[str]) -> dict[str, Text]:
        """(canonical conversation, "") of each content."""
        return scored.texts(con, self.name, source, keys)

    def tokens(self, texts: Sequence[Text]) -> tuple[list[int], int] | None:
        """Token counts of whole conversations."""
        conversations = [Conversation.from_canonical(text) for text, _ in texts]
        return self._embedder.count_tokens(conversations), self._embedder.window

    def compute(self, texts: Sequence[Text]) -> NDArray[np.float32]:
        """Vectors of canonical conversations."""
        return self._embedder.embed([Conversation.from_canonical(text) for text, _ in texts])

    def commit(self, keys: Sequence[str], texts: Sequence[Text]) -> Counter[str]:
        """Embed conversations and store their vectors.

        A zero or non-finite vector has no direction and is not stored: its row gets the verdict `invalid`.

        Raises:
            EmbedderError: the embedder broke its contract.
        """
        with np.errstate(over="ignore"):  # what float16 cannot hold becomes infinite, and is counted as that
            halves = self.compute(texts).astype(np.float16)
        if halves.shape != (len(texts), self._table.dimension):
            raise EmbedderError(
                f"{self.fingerprint.name} gave vectors of shape {halves.shape} for {len(texts)} conversations, "
                f"expected ({len(texts)}, {self._table.dimension}).",
                cure=_CONTRACT,
            )
        usable = np.flatnonzero(comparable(halves)).tolist()
        self._table.insert([keys[at] for at in usable], halves[usable])
        return Counter(ok=len(usable), non_finite=len(keys) - len(usable))


def check_scores(name: str, n_texts: int, scores: NDArray[np.float64], statuses: Sequence[Status]) -> None:
    """Refuse results that cannot be told apart: results are matched to prompts by their place.

    What is stored is never computed again, so a status of the moment (out of memory, an I/O error) is refused too.

    Raises:
        ScorerError: not one score and one status for each text, or a score that its status does not allow.
    """
    if np.shape(scores) != (n_texts,) or len(statuses) != n_texts:
        raise ScorerError(
            f"{name} scorer gave {np.shape(scores)} scores and {len(statuses)} statuses for {n_texts} turns.",
            cure=_CONTRACT,
        )
    if unknown := sorted({str(status) for status in statuses} - set(get_args(Status))):
        raise ScorerError(
            f"{name} scorer gave status {unknown[0]!r}, expected one of {', '.join(get_args(Status))}.",
            cure=_CONTRACT,
        )
    wrong = [
        status
        for score, status in zip(scores, statuses, strict=True)
        if not (np.isfinite(score) if status in SCORED else np.isnan(score))
    ]
    if wrong:
        raise ScorerError(
            f"{name} scorer gave status {wrong[0]!r} to a turn, and a score that does not fit it.",
            cure=_CONTRACT,
        )


@dataclass
class Covered:
    """What one run of a step did for one source."""

    step: str
    source: str
    fingerprint: str
    pool_version: str
    n_wanted: int
    n_resumed: int
    n_computed: int = 0
    n_tokens: int | None = None
    seconds: float = 0.0
    keys_digest: str = ""
    statuses: dict[str, int] = field(default_factory=dict)


def cover_source(
    warehouse: Warehouse,
    step: Step,
    source: str,
    *,
    show: Callable[[Progress], None] | None = None,
    every_s: float = LOG_EVERY_S,
    hook: Callable[[str], None] = lambda point: None,
) -> Covered:
    """Compute what a source's pool still lacks of one step.

    Args:
        warehouse: where the pool is.
        step: what to compute.
        source: whose pool.
        show: called with the progress at most every `every_s` seconds, and at the end.
        every_s: seconds between two calls of `show`.
        hook: called with the name of each point after which a kill must be harmless.
    """
    with warehouse.read(f"{step.name} of {source}: keys") as con:
        version, _ = pool.pool_version(con, source)
        wanted = scored.wanted_keys(con, source, step.name)
    keys, lengths = wanted["key"].to_pylist(), wanted["n_chars"].to_pylist()
    lock = warehouse.home.locks / f"{step.name}-{step.fingerprint.digest}.lock"
    with file_lock(lock, f"{step.name} of {source}", deadline_s=LOCK_WAIT_S):
        present = step.present()
        # Longest first: a batch of long texts that does not fit in memory fails at once, not after hours.
        pending = sorted(
            ((n or 0, key) for key, n in zip(keys, lengths, strict=True) if key not in present), reverse=True
        )
        covered = Covered(
            step.name, source, step.fingerprint.digest, version, len(keys), len(keys) - len(pending),
            keys_digest=sha256_hex("\n".join(keys))[:16],
        )  # fmt: skip
        progress = Progress(
            len(pending), sum(n for n, _ in pending), show or (lambda _: None), every_s, "characters"
        )
        try:
            _run(warehouse, step, source, pending, progress, covered, hook)
        except Exception as error:
            _note_attempt(warehouse, step, source, error)
            raise
    with warehouse.write(f"{step.name} of {source}: coverage") as con:
        scored.save_fingerprint(con, step.fingerprint)
        scored.save_coverage(con, source, step.name, scored.Coverage(step.fingerprint.digest, version))
    return covered


def _note_attempt(warehouse: Warehouse, step: Step, source: str, error: Exception) -> None:
    """Keep what stopped a run; what it had committed stays, and the next run takes up the rest."""
    with suppress(Exception), warehouse.write(f"{step.name} of {source}: failed") as con:
        scored.save_attempt(
            con, source, step.name, step.fingerprint.digest, f"{type(error).__name__}: {error}"
        )


def _run(
    warehouse: Warehouse,
    step: Step,
    source: str,
    pending: list[tuple[int, str]],
    progress: Progress,
    covered: Covered,
    hook: Callable[[str], None],
) -> None:
    statuses: Counter[str] = Counter()
    batch = _FIRST_BATCH
    for start in range(0, len(pending), FETCH_KEYS):
        part = pending[start : start + FETCH_KEYS]
        with warehouse.read(f"{step.name} of {source}: texts") as con:
            texts = step.fetch(con, source, [key for _, key in part])
        at = 0
        while at < len(part):
            now = part[at : at + batch]
            read = [texts[key] for _, key in now]
            began = monotonic()
            statuses += step.commit([key for _, key in now], read)
            hook("committed")
            batch = _next_batch(len(now), monotonic() - began)
            counted = tokens_read(step, read)
            progress.advance(len(now), sum(n for n, _ in now), sum(counted[0]) if counted else None)
            at += len(now)
    progress.finish()
    covered.n_computed = progress.rows
    covered.n_tokens = progress.tokens
    covered.seconds = progress.seconds
    covered.statuses = dict(statuses)


def tokens_read(step: Step, texts: Sequence[Text]) -> tuple[list[int], int] | None:
    """Tokens that the model reads of each text, and how many texts are longer than its window.

    None when it has no tokens. The texts are split into tokens once more for this, which takes 0.5 % of the time of
    the packaged embedder on a CPU.
    """
    counted = step.tokens(texts)
    if counted is None:
        return None
    tokens, window = counted
    most = _most_tokens(step.fingerprint, window)
    return [min(n, most) for n in tokens], sum(n > window for n in tokens)


def _most_tokens(fingerprint: Fingerprint, window: int) -> int:
    """Tokens of one text that a model reads at most: what it does beyond its window stands in its fingerprint."""
    policy = {**fingerprint.spec, **fingerprint.spec.get("window_policy", {})}
    if policy.get("truncation"):
        return window
    return window * int(policy.get("most", sys.maxsize))


def _next_batch(size: int, seconds: float) -> int:
    """Rows of the next commit so that it takes about `COMMIT_S`; grows at most fourfold at a time."""
    return max(1, min(FETCH_KEYS, 4 * size, int(size * COMMIT_S / max(seconds, 1e-3)) + 1))
