"""A file's bytes in chunks, decompressed, within limits.

What belongs here: opening, decompressing, and the troubles of whole files. What does not: what the bytes
mean.
"""

from __future__ import annotations

import contextlib
import gzip
import stat
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

from deita_assets.core.limits import MIB, ReadLimits
from deita_assets.errors import SourceFileError

Compression: TypeAlias = Literal["none", "gzip", "zstd"]
#: Told how many bytes of a file were read, those that it has on disk.
OnBytes: TypeAlias = Callable[[int], None]

#: Large enough that splitting dominates, small enough that a dozen copies do not matter.
CHUNK_BYTES = MIB
_MAGIC: tuple[tuple[bytes, Compression], ...] = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))
_BOM = b"\xef\xbb\xbf"


def compression_of(head: bytes) -> Compression:
    """The compression that a file's first bytes announce; its name plays no part."""
    return next((name for magic, name in _MAGIC if head.startswith(magic)), "none")


def check_regular(path: Path) -> None:
    """Refuse what is no regular file, before opening it: a FIFO would block for ever.

    Raises:
        SourceFileError: the path is a folder, device or FIFO, or cannot be looked at.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        cure = "Check the path and its permissions."
        raise SourceFileError(f"{path}: {error.strerror}.", cure=cure) from error
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device, FIFO or socket"
        raise SourceFileError(f"{path} is {kind}, expected a regular file.", cure="Name the files in it.")


def read_chunks(
    path: Path, compression: Compression, limits: ReadLimits, on_bytes: OnBytes | None = None
) -> Generator[bytes, None, None]:
    """The expanded bytes of a file in chunks that are never empty, without a byte order mark of UTF-8.

    `on_bytes` is called after each chunk with how many bytes of the file itself were read.

    Raises:
        SourceFileError: the file cannot be read, its compression is broken or cut, or it expands beyond the
            limits.
    """
    expanded = 0
    with whole_file_errors(path, compression), contextlib.ExitStack() as stack:
        stream, file = _open(path, compression, stack)
        packed = path.stat().st_size
        while chunk := stream.read(CHUNK_BYTES):
            if expanded == 0 and chunk.startswith(_BOM):
                chunk = chunk[len(_BOM) :]
            expanded += len(chunk)
            if compression != "none":
                _check_expansion(path, packed, expanded, limits)
            if on_bytes:
                on_bytes(file.tell())
            if chunk:
                yield chunk


@contextlib.contextmanager
def whole_file_errors(path: Path, compression: str) -> Iterator[None]:
    """Turn what the operating system and decompressors raise into `SourceFileError`."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _broken(path, compression, error) from error
    except OSError as error:
        if error.errno is None:  # raised by a decompressor, not by the operating system
            raise _broken(path, compression, error) from error
        raise SourceFileError(
            f"{path}: {error.strerror}.", cure="Check the disk and the file's permissions."
        ) from error


def _open(path: Path, compression: Compression, stack: contextlib.ExitStack) -> tuple[Any, Any]:
    """(stream of expanded bytes, the file below it)."""
    if compression == "zstd":
        import pyarrow as pa

        packed = stack.enter_context(pa.OSFile(str(path)))
        return stack.enter_context(pa.CompressedInputStream(packed, "zstd")), packed
    file: IO[bytes] = stack.enter_context(path.open("rb"))
    return (stack.enter_context(gzip.open(file, "rb")) if compression == "gzip" else file), file


def _broken(path: Path, compression: str, error: Exception) -> SourceFileError:
    return SourceFileError(
        f"{path}: the {compression} stream is broken or cut ({error}).",
        cure="Copy the file again; it is read anew as soon as its content changes.",
    )


def _check_expansion(path: Path, packed: int, expanded: int, limits: ReadLimits) -> None:
    if expanded <= limits.expansion_free_bytes:
        return
    if expanded > limits.max_expanded_bytes or expanded > limits.max_expansion * packed:
        raise SourceFileError(
            f"{path}: {packed} bytes expand to {expanded} and more, expected at most {limits.max_expansion} "
            f"times the size, and {limits.max_expanded_bytes} bytes.",
            cure="If the file is honest, decompress it yourself.",
        )
