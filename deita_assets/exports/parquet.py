"""Parquet of a subset: messages with ids, ranks and scores beside them.

What belongs here: one Arrow schema and its writer. What does not: a byte contract; Parquet bytes carry their writer's
version, so subsets are compared by rows and schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from deita_assets.core.fingerprint import canonical_json

_ROWS_PER_GROUP = 2_000

_MESSAGE = pa.struct(
    [
        ("role", pa.string()),
        ("content", pa.string()),
        ("name", pa.string()),
        ("tool_calls", pa.string()),  # JSON text: call arguments have no common type
        ("tool_call_id", pa.string()),
    ]
)
SCHEMA = pa.schema(
    [
        ("messages", pa.list_(_MESSAGE)),
        ("tools", pa.string()),  # JSON text
        ("sample_id", pa.string()),
        ("source", pa.string()),
        ("position", pa.int64()),
        ("rank", pa.int64()),
        ("evol_score", pa.float64()),
        ("complexity", pa.float64()),
        ("quality", pa.float64()),
        ("n_turns", pa.int32()),
    ]
)


def write_parquet(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows in bounded groups; returns how many."""
    n_rows = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for group in _groups(iter(rows)):
            writer.write_table(pa.Table.from_pylist([_row(row) for row in group], schema=SCHEMA))
            n_rows += len(group)
    return n_rows


def _groups(rows: Iterator[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    while group := list(islice(rows, _ROWS_PER_GROUP)):
        yield group


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    conversation = row["conversation"]
    tools = conversation.get("tools")
    return {
        **{name: row[name] for name in SCHEMA.names if name not in ("messages", "tools")},
        "messages": [_message(message) for message in conversation["messages"]],
        "tools": None if tools is None else canonical_json(tools),
    }


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    calls = message.get("tool_calls")
    return {**message, "tool_calls": None if calls is None else canonical_json(calls)}
