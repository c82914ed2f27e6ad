"""The types of an export's columns, as the head of its card names them.

`datasets` takes the types of JSON lines from the first ten megabytes and fails on a key that only comes later; with
these it need not guess. Parquet files carry their own.

What belongs here: types by name. What does not: Arrow schemas (columnar).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from deita_assets.exports.survey import Survey

_COLUMN_TYPES: Final = {
    "sample_id": "string", "source": "string", "position": "int64", "rank": "int64", "evol_score": "float64",
    "complexity": "float64", "quality": "float64", "n_turns": "int32",
}  # fmt: skip


def jsonl_features(found: Survey, columns: Sequence[str]) -> list[dict[str, Any]]:
    """`features` of `dataset_info` for JSON lines of the survey's form with these columns."""
    own: list[dict[str, Any]]
    if found.shape == "messages":
        own = [{"name": "messages", "list": _struct("role", "content") if found.plain else "json"}]
        own += [{"name": "tools", "dtype": "json"}] if "tools" in found.keys else []
    elif found.shape == "sharegpt":
        own = [{"name": "conversations", "list": _struct("from", "value")}]
        own += [{"name": key, "dtype": "string"} for key in ("system", "tools") if key in found.keys]
    else:
        own = _struct("instruction", "input", "output")
        own += _struct("system") if "system" in found.keys else []
        own += [{"name": "history", "list": {"list": "string"}}] if "history" in found.keys else []
    return [*own, *({"name": name, "dtype": _COLUMN_TYPES[name]} for name in columns)]


def _struct(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "dtype": "string"} for name in names]
