"""What a file is, by its content: container and compression.

Names lie: JSON lists are called .jsonl, JSON lines .json, and both come gzipped under either name.

What belongs here: looking at the first bytes. What does not: reading rows.
"""

from __future__ import annotations

import codecs
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from deita_assets.core.limits import ReadLimits
from deita_assets.errors import SourceFileError
from deita_assets.readers.byte_stream import (
    Compression,
    check_regular,
    compression_of,
    read_chunks,
    whole_file_errors,
)
from deita_assets.readers.json_container import JsonContainer, json_container

Container: TypeAlias = JsonContainer | Literal["parquet"]

#: How much is looked at: some dozens of rows of usual length.
_WINDOW_BYTES = 1 << 16
_PARQUET = b"PAR1"
_PLAIN_CURE = "Write the rows as JSON lines (UTF-8), a JSON list or Parquet."
#: First bytes of files that are none of ours: (bytes, what it is, cure).
_FOREIGN: tuple[tuple[bytes, str, str], ...] = (
    (b"PARE", "an encrypted Parquet file", "Decrypt it first."),
    (b"ARROW1", "an Arrow IPC file", "Write it as Parquet."),
    (b"ORC", "an ORC file", "Write it as Parquet."),
    (b"Obj\x01", "an Avro file", "Write it as Parquet."),
    (b"PK\x03\x04", "a zip archive", "Unpack it first."),
    (b"BZh", "a bzip2 file", "Decompress it; gzip and zstd are read as they are."),
    (b"\xfd7zXZ\x00", "an xz file", "Decompress it; gzip and zstd are read as they are."),
    (b"\x04\x22\x4d\x18", "an lz4 file", "Decompress it; gzip and zstd are read as they are."),
    (b"\x1f\x8b", "compressed twice", "Decompress it once."),
    (b"\x28\xb5\x2f\xfd", "compressed twice", "Decompress it once."),
    (b"SQLite format 3\x00", "an SQLite database", _PLAIN_CURE),
    (b"\x89HDF", "an HDF5 file", _PLAIN_CURE),
    *(
        (bytes([0x80, version]), "a Python pickle, which can run code", _PLAIN_CURE)
        for version in (2, 3, 4, 5)
    ),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "Run `git lfs pull`."),
    (b"<!doctype", "a web page", "Download the raw file."),
    (b"<html", "a web page", "Download the raw file."),
)


@dataclass(frozen=True, slots=True)
class FileKind:
    """How the rows of a file are packed."""

    container: Container
    compression: Compression


def sniff(path: Path) -> FileKind:
    """Container and compression of a file, by its first 64 KiB.

    Raises:
        SourceFileError: the file is empty, no regular file, in another encoding than UTF-8, or of a kind that
            is not read; the message names it and the cure.
    """
    check_regular(path)
    with whole_file_errors(path, "none"), path.open("rb") as handle:
        head = handle.read(_WINDOW_BYTES)
    if not head:
        raise SourceFileError(f"{path} is empty.", cure="Remove it, or copy it again.")
    compression = compression_of(head)
    if compression != "none":
        with contextlib.closing(read_chunks(path, compression, ReadLimits())) as chunks:
            head = next(chunks, b"")[:_WINDOW_BYTES]
        if not head:
            raise SourceFileError(
                f"{path}: its {compression} holds nothing.", cure="Remove it, or copy it again."
            )
    if head.startswith(_PARQUET):
        return FileKind(_parquet(path, compression), compression)
    _refuse_foreign(path, head)
    _refuse_wide_encodings(path, head)
    return FileKind(json_container(head.removeprefix(codecs.BOM_UTF8)), compression)


def _parquet(path: Path, compression: Compression) -> Literal["parquet"]:
    if compression != "none":
        raise SourceFileError(
            f"{path} is a Parquet file inside {compression}.",
            cure="Decompress it; Parquet is compressed within and read from its end.",
        )
    return "parquet"


def _refuse_foreign(path: Path, head: bytes) -> None:
    start = head[:32].lstrip()
    for magic, kind, cure in _FOREIGN:
        if head.startswith(magic) or (magic.startswith(b"<") and start.lower().startswith(magic)):
            raise SourceFileError(f"{path} is {kind}, expected JSON or Parquet.", cure=cure)


def _refuse_wide_encodings(path: Path, head: bytes) -> None:
    encoding = _wide_encoding(head[:256])
    if encoding:
        raise SourceFileError(
            f"{path} is in {encoding}, expected UTF-8.",
            cure=f"Re-encode it: iconv -f {encoding} -t UTF-8 IN > OUT.",
        )
    if not head[:256].strip(b"\0"):
        raise SourceFileError(f"{path} begins with zero bytes only.", cure="Copy it again.")


def _wide_encoding(head: bytes) -> str | None:
    """UTF-32 or UTF-16, by byte order mark or by where zero bytes stand between ASCII ones."""
    marks = (
        (codecs.BOM_UTF32_LE, "UTF-32LE"),
        (codecs.BOM_UTF32_BE, "UTF-32BE"),
        (codecs.BOM_UTF16_LE, "UTF-16LE"),
        (codecs.BOM_UTF16_BE, "UTF-16BE"),
    )
    for mark, name in marks:
        if head.startswith(mark):
            return name
    # At each of four places: are most bytes there zero? A place holds a quarter of the bytes.
    zeros = [head[offset::4].count(0) * 8 > len(head) for offset in range(4)]
    patterns = {
        (False, True, True, True): "UTF-32LE",
        (True, True, True, False): "UTF-32BE",
        (False, True, False, True): "UTF-16LE",
        (True, False, True, False): "UTF-16BE",
    }
    return patterns.get((zeros[0], zeros[1], zeros[2], zeros[3]))
