"""Parquet for trainers: no key that no row uses, and JSON as JSON.

Arrow gives every message all keys of its type, null where a message has none, and chat templates stumble over those.
So keys that no row uses are left out, and with `as_json` a message of several forms is one JSON value: `datasets`
gives it back with its own keys alone. Values of any form (tools, arguments of calls) have the Arrow type `json`.

What belongs here: the schema and the writer of exports. What does not: the Parquet file of a subset (parquet).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from deita_assets.core.fingerprint import canonical_json
from deita_assets.exports.parquet import SCHEMA
from deita_assets.exports.survey import Survey

#: Rows held at a time.
ROWS_PER_GROUP = 2_000


def messages_schema(found: Survey, columns: Sequence[str], *, as_json: bool) -> pa.Schema:
    """Schema for rows of the form `messages`: only what some row uses.

    Args:
        found: the survey of the rows.
        columns: ids and scores beside them.
        as_json: where messages are not all of role and content, each is one JSON value.
    """
    if as_json and not found.plain:
        message: Any = pa.json_()
    else:
        types = {
            "role": pa.string(), "content": pa.string(), "name": pa.string(),
            "tool_calls": pa.list_(pa.json_()), "tool_call_id": pa.string(),
        }  # fmt: skip
        needed = {"role", "content", *found.message_keys}
        message = pa.struct([(name, type_) for name, type_ in types.items() if name in needed])
    fields = [("messages", pa.list_(message))]
    if "tools" in found.keys:
        fields.append(("tools", pa.json_()))
    return pa.schema([*fields, *((name, SCHEMA.field(name).type) for name in columns)])


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]], schema: pa.Schema) -> int:
    """Write one file, `ROWS_PER_GROUP` rows held at a time; returns how many rows there were."""
    n_rows = 0
    source = iter(rows)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(islice(source, ROWS_PER_GROUP)):
            writer.write_table(_table(group, schema))
            n_rows += len(group)
    return n_rows


def _table(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> pa.Table:
    columns = [
        _typed(pa.array([_stored(row.get(f.name), f.type) for row in rows], _storage(f.type)), f.type)
        for f in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _is_json(type_: pa.DataType) -> bool:
    return isinstance(type_, pa.JsonType)


def _storage(type_: pa.DataType) -> pa.DataType:
    """The type with text in the place of JSON."""
    if _is_json(type_):
        return pa.string()
    if pa.types.is_list(type_):
        return pa.list_(_storage(type_.value_type))
    if pa.types.is_struct(type_):
        return pa.struct([(f.name, _storage(f.type)) for f in type_])
    return type_


def _stored(value: Any, type_: pa.DataType) -> Any:
    """The value with JSON as text."""
    if value is None:
        return None
    if _is_json(type_):
        return canonical_json(value)
    if pa.types.is_list(type_):
        return [_stored(one, type_.value_type) for one in value]
    if pa.types.is_struct(type_):
        return {f.name: _stored(value.get(f.name), f.type) for f in type_}
    return value


def _typed(array: pa.Array, type_: pa.DataType) -> pa.Array:
    """An array of `_storage(type_)` as one of `type_`; Arrow casts no nested extension types."""
    if _is_json(type_):
        return pa.ExtensionArray.from_storage(type_, array)
    if pa.types.is_list(type_):
        values = _typed(array.values, type_.value_type)
        return pa.ListArray.from_arrays(array.offsets, values, type=type_, mask=array.is_null())
    if pa.types.is_struct(type_):
        children = [_typed(array.field(at), type_.field(at).type) for at in range(type_.num_fields)]
        return pa.StructArray.from_arrays(children, fields=list(type_), mask=array.is_null())
    return array
