"""The rows of a published subset, read back one after another: conversations, with ids and scores beside them.

What belongs here: reading the two files of a subset side by side. What does not: checking them against a manifest
(stores.subsets), or writing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from deita_assets.errors import StoreError

TRAIN: Final = "train.jsonl"
TRAIN_PARQUET: Final = "data/train-00000-of-00001.parquet"
#: Columns that may stand beside a conversation, as they are called in SQL and in the Parquet file of a subset.
COLUMNS: Final = (
    "sample_id", "source", "position", "rank", "evol_score", "complexity", "quality", "n_turns",
)  # fmt: skip
#: Rows of the Parquet file held at a time.
_BATCH_ROWS = 2_000


@dataclass(frozen=True)
class PublishedRow:
    """One selected row: its canonical conversation as JSON values, and its columns."""

    conversation: dict[str, Any]
    columns: dict[str, Any]

    @property
    def sample_id(self) -> str:
        """Id of the row in the pool."""
        return str(self.columns["sample_id"])


def published_rows(folder: Path, columns: Sequence[str] = COLUMNS) -> Iterator[PublishedRow]:
    """Every row of a subset in selection order, one batch of columns held at a time; `sample_id` always comes along.

    Raises:
        StoreError: its two files differ in length.
    """
    wanted = list(dict.fromkeys(["sample_id", *columns]))
    with (folder / TRAIN).open(encoding="utf-8", newline="\n") as lines:
        for values in _columns(folder / TRAIN_PARQUET, wanted):
            line = lines.readline()
            if not line:
                raise _of_other_length(folder)
            yield PublishedRow(json.loads(line), values)
        if lines.readline():
            raise _of_other_length(folder)


def _columns(path: Path, wanted: list[str]) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=wanted, use_threads=False):
            yield from batch.to_pylist()


def _of_other_length(folder: Path) -> StoreError:
    return StoreError(
        f"{folder.name}: {TRAIN} and {TRAIN_PARQUET} have different numbers of rows.",
        cure="The folder was not written by deita_assets. Move it away and run the same `curate` again.",
    )
