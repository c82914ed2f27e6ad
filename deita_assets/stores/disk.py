"""What the disk refused, in words, whichever library met it: a full disk is no fault of the program.

DuckDB, LanceDB, Arrow and SQLite each wrap the system's error in a class of their own, some in nothing but text.

What belongs here: recognising such errors. What does not: errors of any other kind, which stay as they are.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from deita_assets.errors import DeitaError, StoreError

_SPACE = "Free disk space, then run the same command again: it takes up what is missing."
_RIGHTS = "Have this user write there, then run the same command again: it takes up what is missing."
_PLACE = "Name another place, where there is a folder or one can be made."
_DISK = "Look after the disk, then run the same command again; `deita-assets verify` finds what was damaged."
_CURES: Final = {
    errno.ENOSPC: _SPACE, errno.EDQUOT: _SPACE, errno.EFBIG: _SPACE, errno.EIO: _DISK,
    errno.EROFS: _RIGHTS, errno.EACCES: _RIGHTS, errno.EPERM: _RIGHTS,
    errno.ENOTDIR: _PLACE, errno.ENAMETOOLONG: _PLACE,
}  # fmt: skip
#: What libraries write where they do not hand the number on.
_PHRASES: Final = {
    **{os.strerror(number): cure for number, cure in _CURES.items()},
    "database or disk is full": _SPACE, "disk I/O error": _DISK, "attempt to write a readonly database": _RIGHTS,
}  # fmt: skip
#: Errors of libraries that may be about the disk; others may repeat a row, which can say anything.
_CLASSES: Final = {
    "IOException", "TransactionException", "FatalException",  # DuckDB
    "ArrowException", "OperationalError", "OSError",  # Arrow; SQLite, and SQLAlchemy around it
}  # fmt: skip
#: LanceDB has no classes of its own.
_LANCE: Final = "LanceError(IO)"
#: Characters of a library's text that are shown: DuckDB and Lance add where in their own code it happened.
_SHOWN = 300


@contextmanager
def disk_errors_told() -> Iterator[None]:
    """Errors of the disk leave the block as `StoreError`, with the first one as their cause; all others as they are."""
    try:
        yield
    except Exception as error:
        fault = disk_fault(error)
        if fault is None:
            raise
        raise fault from error


def disk_fault(error: BaseException) -> StoreError | None:
    """What the disk refused, when this error or one that is its cause is about that; else None.

    Not by what an error arose beside: a fault of the program while a missing file is handled is one of the program.
    """
    one: BaseException | None = error
    while one is not None:
        if isinstance(one, DeitaError):
            return None
        if told := _told(one):
            return told
        one = one.__cause__
    return None


def _told(error: BaseException) -> StoreError | None:
    if isinstance(error, OSError) and error.errno in _CURES:
        path = error.filename2 or error.filename  # of a copy or a rename: where to
        where = f"{os.fsdecode(path)}: " if isinstance(path, str | bytes) else ""
        return StoreError(f"{where}{os.strerror(error.errno)}.", cure=_CURES[error.errno])
    if isinstance(error, shutil.Error):  # of a tree: (from, to, what was said) of each file
        return _in_words(error.args[0][0][2])
    text = str(error)
    if type(error).__name__ not in _CLASSES and _LANCE not in text:
        return None
    return _in_words(text)


def _in_words(text: str) -> StoreError | None:
    for phrase, cure in _PHRASES.items():
        if phrase in text:
            return StoreError(_shortened(text, phrase), cure=cure)
    return None


def _shortened(text: str, phrase: str) -> str:
    """The line that holds the phrase, cut behind it."""
    line = next(line for line in text.splitlines() if phrase in line)
    before, _, _ = line.partition(phrase)
    return f"{before.strip()[-_SHOWN:]} {phrase}.".strip()
