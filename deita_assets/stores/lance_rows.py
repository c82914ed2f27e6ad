"""Every row of a LanceDB table, whatever is damaged beside it.

A table is read in one stream. When that fails, the rows that are left are taken by their ids, fragment by fragment (a
fragment is one data file), for which Lance opens no other one. A table whose newest manifest cannot be read is not
opened at all: an older manifest would be older data, and nobody would notice.

lancedb is imported on first use.

What belongs here: reading damaged tables. What does not: whether rows are sound (lance_audit), or mending (salvage).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from deita_assets.errors import StoreError
from deita_assets.stores.vectors import unreadable

#: (fragment << 32) + place.
_ROW_ID = "_rowid"
#: Rows read at once: 32 MB of vectors of 4,096 numbers.
BATCH_ROWS = 4_096
#: Manifests are called by 2^64 - 1 minus their version.
_LAST_NAME = 2**64 - 1


@dataclass
class TableRows:
    """One edition of a table, to be read to its end once.

    Attributes:
        name: of the table.
        version: Lance's number of the edition.
        n_rows: rows that its manifest counts.
        names: of its columns.
        unreadable: (fragment, what Lance says) of each that cannot be read as a whole; complete after `batches`.
        n_read: rows given so far.
    """

    name: str
    version: int
    n_rows: int
    names: tuple[str, ...]
    unreadable: list[tuple[int, str]] = field(default_factory=list)
    n_read: int = 0
    _table: Any = None
    _given: list[NDArray[np.uint64]] = field(default_factory=list)

    @classmethod
    def at(cls, folder: Path, name: str) -> TableRows:
        """Open the newest edition of the table `name` below `folder` and stay at it.

        Raises:
            StoreError: it cannot be opened; the message has the version.
        """
        import lancedb

        try:
            table = lancedb.connect(str(folder), read_consistency_interval=timedelta(0)).open_table(name)
            version = int(table.version)
            table.checkout(version)
            n_rows, names = int(table.count_rows()), tuple(table.schema.names)
        except Exception as error:  # of any class, a panic of Lance's own among them
            newest = newest_version(folder / f"{name}.lance")
            told = unreadable(name, error)
            raise StoreError(
                f"{told.message}; its newest version is {newest if newest is not None else 'gone'}.",
                cure=told.cure,
            ) from error
        return cls(name, version, n_rows, names, _table=table)

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Every row that can be read, once, in any order, a few thousand at a time."""
        wanted = [column for column in columns if column in self.names]
        try:
            for batch in (
                self._table.search().select(wanted).with_row_id(True).to_batches(batch_size=BATCH_ROWS)
            ):
                yield self._given_now(batch, wanted)
        except Exception as error:  # see above
            yield from self._fragments(wanted, _said(error))

    def _fragments(self, wanted: list[str], said: str) -> Iterator[pa.RecordBatch]:
        """Rows that were not given yet, by fragment; a stretch that cannot be read is left out and noted."""
        try:  # out of the manifest alone
            ids = self._table.search().select([_ROW_ID]).to_arrow()[_ROW_ID].to_numpy()
        except Exception:  # see above
            self.unreadable.append((0, said))
            return
        left = np.setdiff1d(ids, np.concatenate([np.empty(0, ids.dtype), *self._given]))
        edges = np.flatnonzero(np.diff(left >> np.uint64(32))) + 1
        for fragment in np.split(left, edges):
            for start in range(0, len(fragment), BATCH_ROWS):
                part = fragment[start : start + BATCH_ROWS]
                try:
                    query = self._table.take_row_ids(part.tolist()).select(wanted).with_row_id()
                    taken = query.to_arrow().to_batches()
                except Exception as error:  # see above
                    self._note(int(part[0]) >> 32, _said(error))
                else:
                    yield from (self._given_now(batch, wanted) for batch in taken)

    def _given_now(self, batch: pa.RecordBatch, wanted: list[str]) -> pa.RecordBatch:
        self._given.append(batch[_ROW_ID].to_numpy())
        self.n_read += batch.num_rows
        return batch.select(wanted)

    def _note(self, fragment: int, said: str) -> None:
        if fragment not in {known for known, _ in self.unreadable}:
            self.unreadable.append((fragment, said))


def _said(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def manifests(table: Path) -> list[Path]:
    """Manifests of a table's folder, the newest first."""
    found = [path for path in (table / "_versions").glob("*.manifest") if path.stem.isdigit()]
    return sorted(found, key=lambda path: int(path.stem))


def newest_version(table: Path) -> int | None:
    """Number of the newest edition that a table's folder has a manifest of; None without any."""
    found = manifests(table)
    return _LAST_NAME - int(found[0].stem) if found else None
