"""All rows of one file, whatever it is packed in.

What belongs here: putting container, splitter and decoder together. What does not: any of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deita_assets.core.limits import ReadLimits
from deita_assets.errors import SourceFileError
from deita_assets.readers.byte_stream import OnBytes, read_chunks
from deita_assets.readers.file_kind import FileKind, sniff
from deita_assets.readers.lines import split_lines
from deita_assets.readers.parquet import read_parquet
from deita_assets.readers.records import Record, Reject, decode_record, decode_row
from deita_assets.readers.values import ValueSplitter

_DEFAULT_LIMITS = ReadLimits()
#: Rejects whose bytes may hold the start of the next row.
_MAY_HOLD_MORE = ("malformed_json", "truncated_json", "too_deep")


def read_records(
    path: Path, limits: ReadLimits = _DEFAULT_LIMITS, on_bytes: OnBytes | None = None
) -> Iterator[Record | Reject]:
    """Every row of a file in order, a record or a reject each; memory stays within a few rows and chunks.

    JSON lines, a JSON list, JSON objects one after another, or Parquet; plain, gzip or zstd. The content
    decides, not the name. One bad row never ends the iteration. `on_bytes` is told after each chunk how many bytes of
    the file were read; of Parquet it is told nothing.

    Raises:
        SourceFileError: while iterating, when the file as a whole cannot be read (see `sniff`), is cut inside
            its compression, or holds no row at all. Rows given before must then not be used.
    """
    path = Path(path)
    found = False
    for row in _rows(path, sniff(path), limits, on_bytes):
        found = True
        yield row
    if not found:
        raise SourceFileError(f"{path} holds no rows.", cure="Remove it, or copy it again.")


def _rows(
    path: Path, kind: FileKind, limits: ReadLimits, on_bytes: OnBytes | None
) -> Iterator[Record | Reject]:
    if kind.container == "parquet":
        return read_parquet(path, limits)
    chunks = read_chunks(path, kind.compression, limits, on_bytes)
    if kind.container == "jsonl":
        return (decode_row(row, limits) for row in split_lines(chunks, limits))
    return _values(ValueSplitter(chunks, limits, array=kind.container == "json_array"), limits)


def _values(splitter: ValueSplitter, limits: ReadLimits) -> Iterator[Record | Reject]:
    last: Record | Reject | None = None
    for row in splitter:
        last = decode_row(row, limits)
        if isinstance(last, Reject) and last.reason in _MAY_HOLD_MORE:
            before = splitter.split_again(row)
            if before is not None:
                last = decode_record(before, row.line, limits)
        yield last
    if splitter.unclosed and not (isinstance(last, Reject) and last.reason == "truncated_json"):
        yield Reject(splitter.line, "truncated_json", "the file ends before its list is closed", "")
