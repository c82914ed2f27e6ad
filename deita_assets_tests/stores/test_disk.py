"""Which errors are the disk's, and that no other is taken for one."""

import errno
import shutil
import sqlite3

import duckdb
import pyarrow as pa
import pytest

from deita_assets.errors import StoreError
from deita_assets.stores.disk import disk_errors_told, disk_fault

FULL = "No space left on device"


def caused_by(error):
    outer = RuntimeError("a step failed")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize(
    ("error", "said", "cure"),
    [
        (OSError(errno.ENOSPC, FULL, "/h/a"), "/h/a: No space left on device.", "Free disk space"),
        (
            OSError(errno.ENOSPC, FULL, "/from", None, "/to"),
            "/to: No space left on device.",
            "Free disk space",
        ),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "Disk quota exceeded.", "Free disk space"),
        (OSError(errno.EIO, "Input/output error", b"/h/a"), "/h/a: Input/output error.", "verify"),
        (PermissionError(errno.EACCES, "Permission denied", "/h"), "/h: Permission denied.", "write there"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/h"), "/h: Not a directory.", "another place"),
        (
            duckdb.IOException(f'IO Error: Could not write file "/h/w": {FULL}\n\nStack Trace:\n1'),
            f'IO Error: Could not write file "/h/w": {FULL}.',
            "Free disk space",
        ),
        (duckdb.TransactionException(f"Failed to commit: {FULL}"), f"Failed to commit: {FULL}.", "Free"),
        (
            RuntimeError(f"lance error: LanceError(IO): {FULL} (os error 28), /x.rs:1"),
            FULL,
            "Free disk space",
        ),
        (pa.ArrowException(f"Error writing bytes: {FULL}"), FULL, "Free disk space"),
        (
            sqlite3.OperationalError("database or disk is full"),
            "database or disk is full.",
            "Free disk space",
        ),
        (shutil.Error([("/a", "/b", f"[Errno 28] {FULL}: '/b'")]), FULL, "Free disk space"),
        (caused_by(OSError(errno.ENOSPC, FULL)), FULL, "Free disk space"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, Exception) else "",
)
def test_errors_of_the_disk(error, said, cure):
    fault = disk_fault(error)
    assert said in fault.message
    assert "Trace" not in fault.message
    assert ".rs" not in fault.message
    assert cure in fault.cure


def beside():
    try:
        try:
            raise OSError(errno.ENOSPC, FULL)
        except OSError:
            {}["missing"]
    except KeyError as error:
        return error


@pytest.mark.parametrize(
    "error",
    [
        KeyError("x"),
        BrokenPipeError(errno.EPIPE, "Broken pipe"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "/h"),
        ValueError(f"a row says {FULL}"),
        duckdb.ConversionException(f"Could not convert string '{FULL}' to INT32"),
        StoreError(f"{FULL}", cure="as it was said before"),
        caused_by(StoreError(FULL)),
        beside(),
    ],
    ids=lambda one: type(one).__name__,
)
def test_other_errors_stay_as_they_are(error):
    assert disk_fault(error) is None
    with pytest.raises(type(error)) as caught, disk_errors_told():
        raise error
    assert caught.value is error


def test_the_first_error_stays_the_cause():
    first = OSError(errno.ENOSPC, FULL)
    with pytest.raises(StoreError) as caught, disk_errors_told():
        raise first
    assert caught.value.__cause__ is first
