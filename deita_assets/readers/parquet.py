"""Parquet rows as plain Python values, a batch at a time.

What belongs here: tables to dicts. What does not: JSON, but for values that a table holds as JSON text and says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from deita_assets.core.limits import MIB, ReadLimits
from deita_assets.core.shown import clip
from deita_assets.core.strict_json import StrictJsonError, loads
from deita_assets.errors import SourceFileError
from deita_assets.readers.records import Record, Reject, too_long

#: Rows converted at once, fewer where rows are long: Python objects take several times the bytes of the
#: table.
_BATCH_ROWS = 1024
_BATCH_BYTES = 32 * MIB


def read_parquet(path: Path, limits: ReadLimits) -> Iterator[Record | Reject]:
    """The rows of a Parquet file, numbered from 1; fields of structs that are null are left out.

    Values of Parquet's logical type JSON (Arrow's `arrow.json`) are decoded, nulls inside them stay.

    Raises:
        SourceFileError: the file is broken, encrypted, or has two columns of one name.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 1
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as table:
            _refuse_equal_names(path, table.schema_arrow.names)
            for batch in table.iter_batches(batch_size=_batch_rows(table.metadata)):
                yield from _batch(batch, number, limits)
                number += batch.num_rows
    except (OSError, ValueError, pa.ArrowException) as error:  # ValueError: a column's name is no UTF-8
        first_line = clip((str(error).splitlines() or [""])[0], 200)
        raise SourceFileError(
            f"{path}: the Parquet file is broken ({first_line}).",
            cure="Copy the file again, or write it anew.",
        ) from error


def _refuse_equal_names(path: Path, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise SourceFileError(f"{path}: two columns are named {twice[0]!r}.", cure="Rename one of them.")


def _batch_rows(metadata: Any) -> int:
    if not metadata.num_rows:
        return _BATCH_ROWS
    total = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    per_row = max(1, total // metadata.num_rows)
    return int(min(_BATCH_ROWS, max(1, _BATCH_BYTES // per_row)))


def _batch(batch: Any, number: int, limits: ReadLimits) -> Iterator[Record | Reject]:
    rows = None if batch.nbytes > limits.max_line_bytes else _values(batch, limits)
    if isinstance(rows, list):
        for offset, row in enumerate(rows):
            yield Record(number + offset, row)
        return
    for offset in range(batch.num_rows):
        yield _single(batch.slice(offset, 1), number + offset, limits)


def _single(batch: Any, number: int, limits: ReadLimits) -> Record | Reject:
    if batch.nbytes > limits.max_line_bytes:
        return too_long(number, b"", batch.nbytes, limits)
    found = _values(batch, limits)
    if isinstance(found, list):
        return Record(number, found[0])
    if isinstance(found, StrictJsonError):
        return Reject(number, found.reason, f"{found.detail}, in a column of JSON", "")
    if isinstance(found, UnicodeDecodeError):
        return Reject(number, "invalid_utf8", f"byte offset {found.start} of a text: {found.reason}", "")
    return Reject(number, "unreadable_value", f"{type(found).__name__} in one of its columns", "")


def _values(batch: Any, limits: ReadLimits) -> list[dict[str, Any]] | Exception:
    """All rows of a batch, or what stopped the conversion."""
    plain = {field.name: _plain(field.type, limits.max_depth - 1) for field in batch.schema}
    try:
        rows = batch.to_pylist(maps_as_pydicts="strict")
        return [{name: plain[name](value) for name, value in row.items()} for row in rows]
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        return error


def _plain(type_: Any, max_depth: int) -> Callable[[Any], Any]:
    """What makes a plain value out of one of an Arrow type; brackets of JSON inside it may nest `max_depth` deep."""
    import pyarrow as pa

    if not _holds_json(type_):
        return _without_nulls
    if isinstance(type_, pa.JsonType):
        return lambda value: None if value is None else loads(value, max_depth)
    if pa.types.is_struct(type_):
        fields = {field.name: _plain(field.type, max_depth - 1) for field in type_}
        return lambda value: (
            value
            if value is None
            else {name: fields[name](inner) for name, inner in value.items() if inner is not None}
        )
    if pa.types.is_map(type_):
        entry = _plain(type_.item_type, max_depth - 1)
        return lambda value: (
            value
            if value is None
            else {key: entry(inner) for key, inner in value.items() if inner is not None}
        )
    element = _plain(type_.value_type, max_depth - 1)
    return lambda value: value if value is None else [element(inner) for inner in value]


def _holds_json(type_: Any) -> bool:
    import pyarrow as pa

    if isinstance(type_, pa.JsonType):
        return True
    if pa.types.is_nested(type_):
        return any(_holds_json(type_.field(at).type) for at in range(type_.num_fields))
    return False


def _without_nulls(value: Any) -> Any:
    """`value` without the struct fields that are null: a table has every field in every row, JSON has not."""
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value
