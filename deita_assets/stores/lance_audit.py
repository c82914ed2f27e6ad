"""Whether the rows of a LanceDB table are those that were written: checksums, keys, values.

Vectors pass through a few thousand at a time; of each row only keys and score are held: 130 bytes
for a vector, 220 for a score.

What belongs here: one table by itself. What does not: tables against the warehouse (engines.verify_lance).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from deita_assets.stores.checksums import CHECKSUM, score_checksums, vector_checksums
from deita_assets.stores.home import Home
from deita_assets.stores.lance_rows import TableRows
from deita_assets.stores.vectors import SCORE_WORDS, SCORES, score_key

_KEY = re.compile(rb"[0-9a-f]{64}")
_CONTENT, _VECTOR = "content_sha256", "vector"
#: Columns that say of a score what the warehouse knows.
SCORE_COLUMNS = ("prompt_sha256", "measure", "scorer_fp", "score", "status")


@dataclass(frozen=True)
class BadRow:
    """A row that is not as it was written.

    Attributes:
        key: as it stands, bytes that are no text replaced.
        fault: `checksum` or `value`.
        checksum: that stands in it; None where there is none.
        by_key: whether its key is one, so that the row can be taken out by it.
    """

    key: str
    fault: str
    checksum: int | None
    by_key: bool


@dataclass(frozen=True)
class TableAudit:
    """What a table holds.

    Attributes:
        name: of the table.
        version: edition that was read.
        n_rows: rows that its manifest counts.
        n_read: rows that could be read.
        unreadable: (fragment, what Lance says) of those that could not.
        bad: rows whose checksum or values are wrong.
        doubled: keys with several rows, in order.
        n_unchecked: rows without a checksum, written before there were any.
        sound: the sound rows, each once: the key of an embedding table; `SCORE_COLUMNS` of the score table.
        dimension: numbers of a vector; None for scores.
    """

    name: str
    version: int
    n_rows: int
    n_read: int
    unreadable: list[tuple[int, str]]
    bad: list[BadRow]
    doubled: list[str]
    n_unchecked: int
    sound: pa.Table
    dimension: int | None = None


@dataclass(frozen=True)
class Judged:
    """One batch of rows: what is wrong with each, and the words of each."""

    faults: list[str | None]
    keys: list[bytes]
    checksums: list[int | None]


def judge_vectors(batch: pa.RecordBatch, off: Callable[[NDArray[np.float16]], NDArray[np.bool_]]) -> Judged:
    """Judge rows of an embedding table.

    Args:
        batch: content_sha256, vector and, if the table has it, checksum.
        off: which of vectors (n, d) are not of length one.
    """
    keys, stored = _bytes(batch, _CONTENT), _checksums(batch)
    column = batch.column(_VECTOR)
    vectors = column.flatten().to_numpy(zero_copy_only=False).reshape(len(keys), column.type.list_size)
    found, unlike = vector_checksums(keys, vectors).tolist(), off(vectors).tolist()
    return Judged(
        [
            "checksum" if was not in (None, now) else "value" if bad or not _KEY.fullmatch(key) else None
            for key, was, now, bad in zip(keys, stored, found, unlike, strict=True)
        ],
        keys, stored,
    )  # fmt: skip


def judge_scores(batch: pa.RecordBatch, scored: Collection[str]) -> Judged:
    """Judge rows of the score table; `scored` are the statuses that come with a score, from 1 to 6."""
    words, stored = [_bytes(batch, name) for name in SCORE_WORDS], _checksums(batch)
    scores = batch.column("score").to_pylist()
    found = score_checksums(words, scores).tolist()
    known = {status.encode() for status in scored}
    return Judged(
        [
            "checksum" if was not in (None, now) else None if _fits(row, score, known) else "value"
            for was, now, score, *row in zip(stored, found, scores, *words, strict=True)
        ],
        words[0], stored,
    )  # fmt: skip


def _fits(words: list[bytes], score: float | None, scored: Collection[bytes]) -> bool:
    key, prompt, measure, scorer, status = words
    try:
        expected = score_key(measure.decode(), prompt.decode(), scorer.decode()).encode()
    except UnicodeDecodeError:
        return False
    there = score is not None and 1.0 <= score <= 6.0
    return key == expected and (there if status in scored else score is None)


def audit_table(
    home: Home,
    name: str,
    judge: Callable[[pa.RecordBatch], Judged],
    on_rows: Callable[[int, int], None] = lambda read, total: None,
) -> TableAudit:
    """Read a table to its end and judge every row.

    Args:
        home: whose table.
        name: of the table.
        judge: `judge_vectors` or `judge_scores`, with their further arguments given.
        on_rows: told (rows read, rows in all) after each batch.

    Raises:
        StoreError: the table cannot be opened.
    """
    rows = TableRows.at(home.lance, name)
    is_scores = name == SCORES
    columns = [*SCORE_WORDS, "score", CHECKSUM] if is_scores else [_CONTENT, _VECTOR, CHECKSUM]
    kept = list(SCORE_COLUMNS) if is_scores else [_CONTENT]
    seen, bad, sound, dimension, n_unchecked = _Keys(), [], [], None, 0
    for batch in rows.batches(columns):
        found = judge(batch)
        seen.add(found.keys)
        n_unchecked += sum(one is None for one in found.checksums)
        bad += _bad_rows(found)
        fine = pa.array([fault is None for fault in found.faults])
        sound.append(batch.filter(fine).select(kept))
        dimension = None if is_scores else batch.column(_VECTOR).type.list_size
        on_rows(rows.n_read, rows.n_rows)
    table = (
        pa.Table.from_batches(sound) if sound else pa.table({one: pa.array([], pa.string()) for one in kept})
    )
    return TableAudit(
        name, rows.version, rows.n_rows, rows.n_read, rows.unreadable, bad, seen.doubled(), n_unchecked, table,
        dimension,
    )  # fmt: skip


def _bad_rows(found: Judged) -> list[BadRow]:
    return [
        BadRow(key.decode(errors="replace"), fault, checksum, bool(_KEY.fullmatch(key)))
        for fault, key, checksum in zip(found.faults, found.keys, found.checksums, strict=True)
        if fault
    ]


class _Keys:
    """Keys that were met, 64 bytes each."""

    def __init__(self) -> None:
        self._met: list[NDArray[Any]] = []

    def add(self, keys: list[bytes]) -> None:
        self._met.append(np.array([key[:64] for key in keys], dtype="S64"))

    def doubled(self) -> list[str]:
        """Keys that were met more than once, in order."""
        if not self._met:
            return []
        keys, counts = np.unique(np.concatenate(self._met), return_counts=True)
        return [key.decode(errors="replace") for key in keys[counts > 1].tolist()]


def _bytes(batch: pa.RecordBatch, name: str) -> list[bytes]:
    """A column of words as bytes: after damage they may be no text."""
    values: list[bytes] = batch.column(name).cast(pa.binary()).to_pylist()
    return values


def _checksums(batch: pa.RecordBatch) -> list[int | None]:
    if CHECKSUM not in batch.schema.names:
        return [None] * batch.num_rows
    values: list[int | None] = batch.column(CHECKSUM).to_pylist()
    return values
