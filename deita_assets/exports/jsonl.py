"""Chat `messages` JSONL: the byte contract of a subset.

What belongs here: one conversation per line, our own writer, no options. What does not: ids and scores
(Parquet has them).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from deita_assets.core.fingerprint import canonical_json


def write_messages_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write `row["conversation"]` of each row as one line of canonical JSON; returns the number of lines.

    Equal conversations in equal order give equal bytes on every machine and version.
    """
    n_rows = 0
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for row in rows:
            out.write(canonical_json(row["conversation"]) + "\n")
            n_rows += 1
    return n_rows
