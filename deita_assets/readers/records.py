"""One row as bytes to its value, or to the reason why it has none.

What belongs here: `Record`, `Reject` and the one decoder that all JSON readers share. What does not: finding
rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deita_assets.core.limits import MIB, ReadLimits
from deita_assets.core.strict_json import StrictJsonError, loads

_DEFAULT_LIMITS = ReadLimits()


@dataclass(frozen=True, slots=True)
class Record:
    """One row that could be read.

    Attributes:
        line: 1-based line where the row starts; the row number in Parquet.
        value: the row as plain Python values; whether it is an object is not checked here.
    """

    line: int
    value: Any


@dataclass(frozen=True, slots=True)
class Reject:
    """One row that could not be read.

    Attributes:
        line: 1-based line where the row starts; the row number in Parquet.
        reason: a code of `core.reasons`.
        detail: what was found, without text of the row.
        raw_prefix: the first characters of the row, bytes that are no UTF-8 as escapes.
    """

    line: int
    reason: str
    detail: str
    raw_prefix: str


@dataclass(frozen=True, slots=True)
class RawRow:
    """The bytes of one row, before decoding.

    Attributes:
        line: 1-based line where it starts.
        raw: its bytes; only the first of them where `size` is beyond the limit.
        size: its length in bytes.
        ended: False when the file stopped before the row's end was seen.
    """

    line: int
    raw: bytes
    size: int
    ended: bool = True


def decode_record(raw: bytes, line: int = 1, limits: ReadLimits = _DEFAULT_LIMITS) -> Record | Reject:
    """The value of one JSON text in UTF-8, or the reject that says why it has none; never raises."""
    if len(raw) > limits.max_line_bytes:
        return too_long(line, raw, len(raw), limits)
    try:
        return Record(line, loads(raw.decode("utf-8"), limits.max_depth))
    except UnicodeDecodeError as error:
        detail = f"byte 0x{raw[error.start]:02x} at offset {error.start}: {error.reason}"
        return Reject(line, "invalid_utf8", detail, prefix(raw, limits))
    except StrictJsonError as error:
        return Reject(line, error.reason, error.detail, prefix(raw, limits))


def decode_row(row: RawRow, limits: ReadLimits) -> Record | Reject:
    """`decode_record` for a row out of a file: knows of rows too long, and of files that end inside one."""
    if row.size > limits.max_line_bytes:
        return too_long(row.line, row.raw, row.size, limits)
    found = decode_record(row.raw, row.line, limits)
    if row.ended or isinstance(found, Record):
        return found
    if found.reason == "malformed_json" or (found.reason == "invalid_utf8" and _cut_in_character(row.raw)):
        return Reject(row.line, "truncated_json", f"the file ends here; {found.detail}", found.raw_prefix)
    return found


def too_long(line: int, raw: bytes, size: int, limits: ReadLimits) -> Reject:
    """The reject of a row beyond the limit of bytes."""
    limit = limits.max_line_bytes
    detail = f"{size} bytes, the limit is {limit}" + (f" ({limit // MIB} MiB)" if limit >= MIB else "")
    return Reject(line, "line_too_long", detail, prefix(raw, limits))


def prefix(raw: bytes, limits: ReadLimits) -> str:
    """The first characters of a row; bytes that are no UTF-8 stand as hexadecimal escapes."""
    chars = limits.raw_prefix_chars
    head = raw[: 4 * chars].lstrip()
    if len(raw) > 4 * chars:  # do not let the cut itself look like a broken character
        head = head[: len(head) - _cut_bytes(head)]
    return head.decode("utf-8", "backslashreplace")[:chars].rstrip()


def _cut_in_character(raw: bytes) -> bool:
    """True when the only fault of `raw` is a character that lacks its last bytes."""
    try:
        raw[: len(raw) - _cut_bytes(raw)].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _cut_bytes(raw: bytes) -> int:
    """How many bytes at the end of `raw` belong to a character whose rest is missing."""
    for back in range(1, min(3, len(raw)) + 1):
        byte = raw[-back]
        if 0xC2 <= byte <= 0xF4:  # first byte of a character of 2, 3 or 4
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if back < length else 0
        if not 0x80 <= byte < 0xC0:
            break
    return 0
