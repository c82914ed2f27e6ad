"""Reading a JSONL file that settings name, plain or gzipped, with a limit to what it may become.

What belongs here: bytes into lines. What does not: what a line holds (graded_set, labels).
"""

from __future__ import annotations

from pathlib import Path

from deita_assets.core.limits import MIB, ReadLimits
from deita_assets.errors import DeitaError, UsageError
from deita_assets.readers.byte_stream import Compression, check_regular, read_chunks

#: The largest label sets in use have some 100 MB.
_LIMITS = ReadLimits(max_expanded_bytes=1024 * MIB)


def lines_of(path: Path, cure: str) -> list[str]:
    """The lines of a file in UTF-8, gunzipped if its name ends in `.gz`.

    Raises:
        UsageError: it is no regular file (reading a FIFO or a device would never end), is cut, broken or no UTF-8, or
            expands without end; with this `cure`.
    """
    try:
        check_regular(path)
        compression: Compression = "gzip" if path.suffix == ".gz" else "none"
        text = b"".join(read_chunks(path, compression, _LIMITS)).decode("utf-8")
    except (DeitaError, UnicodeDecodeError) as error:
        found = getattr(error, "message", str(error)).removeprefix(f"{path}: ").rstrip(".")
        raise UsageError(f"{path}: cannot be read ({found}).", cure=cure) from error
    return text.rstrip("\n").split("\n")
