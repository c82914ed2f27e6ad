"""The rows of an export as JSON objects, in order, with skipped ones told beside them.

What belongs here: from published rows to rows of a form. What does not: the forms (forms), or files.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

from deita_assets.core.fingerprint import canonical_json
from deita_assets.exports.forms import ROWS, Held
from deita_assets.exports.published import PublishedRow
from deita_assets.exports.survey import Survey

SKIPPED_FILE: Final = "skipped.jsonl"
#: Keys that only some rows need, and what stands there in the others where any row of the file has them.
_FILLED: Final[dict[str, dict[str, Any]]] = {
    "sharegpt": {"system": "", "tools": ""},
    "alpaca": {"system": "", "history": []},
}


class Skips:
    """Rows that a form cannot hold: all of them in a file, a few ids of each reason in memory.

    Attributes:
        shown: reason -> the first ids, `most` at most.
        n_rows: how many in all.
    """

    def __init__(self, path: Path, most: int = 20) -> None:
        self.shown: dict[str, list[str]] = {}
        self.n_rows = 0
        self._path, self._most = path, most
        self._file: IO[str] | None = None

    def add(self, sample_id: str, reason: str) -> None:
        """Write one down; the file is made for the first one."""
        if self._file is None:
            self._file = self._path.open("w", encoding="utf-8", newline="\n")
        self._file.write(json.dumps({"sample_id": sample_id, "reason": reason}, ensure_ascii=False) + "\n")
        ids = self.shown.setdefault(reason, [])
        if len(ids) < self._most:
            ids.append(sample_id)
        self.n_rows += 1

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file is not None:
            self._file.close()


def form_rows(
    rows: Iterable[PublishedRow], found: Survey, columns: Sequence[str], skips: Skips
) -> Iterator[dict[str, Any]]:
    """Rows of the form with the asked-for columns behind them; holds one at a time."""
    make = ROWS[found.shape]
    filled = {key: value for key, value in _FILLED.get(found.shape, {}).items() if key in found.keys}
    for row in rows:
        made = make(row.conversation)
        if isinstance(made, Held):
            missing = {key: value for key, value in filled.items() if key not in made.row}
            yield {**made.row, **missing, **{name: row.columns[name] for name in columns}}
        else:
            skips.add(row.sample_id, made.reason)


def write_jsonl(path: Path, rows: Iterable[dict[str, Any]], *, canonical: bool) -> int:
    """One JSON object per line; returns how many. `canonical` is the writing of a subset's own `train.jsonl`."""
    n_rows = 0
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for row in rows:
            out.write((canonical_json(row) if canonical else json.dumps(row, ensure_ascii=False)) + "\n")
            n_rows += 1
    return n_rows
