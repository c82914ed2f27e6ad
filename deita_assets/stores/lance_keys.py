"""Keys of the LanceDB tables as they stand, doubled ones included, and taking results out by key.

Results are only ever added; what an asset check refused is the one exception (engines.mend), and is computed again.
lancedb is imported on first use.

What belongs here: keys. What does not: scores and vectors (vectors), and upkeep (lance_upkeep).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from deita_assets.errors import StoreError
from deita_assets.stores.home import Home
from deita_assets.stores.vectors import unreadable

#: Keys named in one filter.
_KEYS_AT_ONCE = 500
#: Doubled keys that are named.
_NAMED = 10
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class KeyCounts:
    """Rows and different keys among them; `doubled` names the first keys, in order, that have more than one row."""

    n_rows: int
    n_keys: int
    doubled: tuple[str, ...]


def count_keys(keys: pa.ChunkedArray | pa.Array) -> KeyCounts:
    """How often keys occur."""
    n_rows, n_keys = len(keys), pc.count_distinct(keys).as_py()
    doubled = doubled_keys(keys)[:_NAMED] if n_rows != n_keys else []
    return KeyCounts(n_rows, n_keys, tuple(doubled))


def doubled_keys(keys: pa.ChunkedArray | pa.Array) -> list[str]:
    """Every key that occurs more than once, in order."""
    counted = pc.value_counts(keys)
    often = pc.greater(counted.field("counts"), 1)
    return sorted(counted.field("values").filter(often).to_pylist())


def table_keys(home: Home, table: str, key: str) -> pa.ChunkedArray:
    """The key of every row of a table, in any order.

    Raises:
        StoreError: there is no such table.
    """
    return _open(home, table).search().select([key]).to_arrow()[key]


def drop_keys(home: Home, table: str, key: str, keys: Sequence[str], *, where: str = "true") -> int:
    """Take all rows of these keys out of a table; returns how many.

    Args:
        home: whose table.
        table: its name.
        key: column of the keys, each of which is 64 hex digits.
        keys: to take out.
        where: condition that rows have to meet besides, out of names that were checked.

    Raises:
        StoreError: there is no such table, or a key that is none.
    """
    if wrong := [one for one in keys if not _HEX.fullmatch(one)]:
        raise StoreError(f"{table}: no such key: {wrong[0]!r}.")
    opened = _open(home, table)
    before = opened.count_rows()
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        listed = ", ".join(f"'{one}'" for one in keys[start : start + _KEYS_AT_ONCE])
        opened.delete(f"({where}) AND {key} IN ({listed})")
    return int(before - opened.count_rows())


def drop_copies(home: Home, table: str, key: str, said: Sequence[str], *, where: str = "true") -> int:
    """Take all copies of a doubled key out of a table but one, where every copy says the same; returns how many rows.

    Args:
        home: whose table.
        table: its name.
        key: column of the keys, each of which is 64 hex digits where it counts.
        said: columns that have to be equal.
        where: condition that rows have to meet, out of names that were checked.

    Raises:
        StoreError: there is no such table.
    """
    opened = _open(home, table)
    doubled = [
        one
        for one in doubled_keys(opened.search().where(where).select([key]).to_arrow()[key])
        if _HEX.fullmatch(one)
    ]
    before = opened.count_rows()
    for start in range(0, len(doubled), _KEYS_AT_ONCE):
        listed = ", ".join(f"'{one}'" for one in doubled[start : start + _KEYS_AT_ONCE])
        condition = f"({where}) AND {key} IN ({listed})"
        found = opened.search().where(condition).select([key, *said]).with_row_id(True).to_arrow()
        copies: dict[str, list[int]] = defaultdict(list)
        words: dict[str, set[str]] = defaultdict(set)
        for row in found.to_pylist():
            copies[row[key]].append(row["_rowid"])
            words[row[key]].add(repr([row[name] for name in said]))  # where NaN is equal to itself
        needless = [at for one, ids in copies.items() if len(words[one]) == 1 for at in sorted(ids)[1:]]
        if (
            needless
        ):  # a compaction meanwhile gives rows new ids and never an old one again: then none is taken out
            opened.delete(f"{condition} AND _rowid IN ({', '.join(map(str, needless))})")
    return int(before - opened.count_rows())


def drop_where(home: Home, table: str, condition: str) -> int:
    """Take all rows that meet a condition out of a table, out of names and numbers that were checked; how many.

    Raises:
        StoreError: there is no such table.
    """
    opened = _open(home, table)
    before = opened.count_rows()
    opened.delete(condition)
    return int(before - opened.count_rows())


def _open(home: Home, table: str) -> Any:
    import lancedb

    connection = lancedb.connect(str(home.lance), read_consistency_interval=timedelta(0))
    try:
        return connection.open_table(table)
    except (ValueError, FileNotFoundError) as error:
        raise StoreError(f"LanceDB has no table {table}.", cure="Run `deita-assets curate`.") from error
    except Exception as error:  # what Lance makes of a damaged file is of any class, a panic among them
        raise unreadable(table, error) from error
