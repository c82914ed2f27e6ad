"""A disk on which the n-th write fails, or no file may grow beyond a size.

Writes are counted where they leave the package: files that are opened to be written, renamed and synced, folders that
are made, row groups of Parquet, statements of DuckDB that write, inserts into LanceDB, and the copy for readers.
Where a file is opened, it may fail at once or leave an empty file behind.

What belongs here: making writes fail. What does not: what is to come of it.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from deita_assets.stores import lance_upkeep, serving, vectors, warehouse

_WRITING = ("insert", "update", "delete", "create", "drop", "alter", "copy", "commit", "checkpoint")


@dataclass
class Disk:
    """Counts writes; the n-th is refused.

    Attributes:
        n: which; 0 for none.
        number: of the error, such as `errno.ENOSPC`.
        n_writes: writes so far.
        refused: what the refused write was, empty while there was none.
    """

    n: int
    number: int = errno.ENOSPC
    n_writes: int = 0
    refused: str = ""

    @property
    def words(self) -> str:
        return os.strerror(self.number)

    def refuses(self, what: str) -> bool:
        """Count one write; whether it is the one."""
        self.n_writes += 1
        if self.n_writes != self.n:
            return False
        self.refused = what
        return True

    def error(self, path: Any = None) -> OSError:
        return OSError(self.number, self.words, os.fspath(path) if path is not None else None)


@contextmanager
def nth_write_fails(n: int, number: int = errno.ENOSPC) -> Iterator[Disk]:
    """The n-th write within the block is refused, in the words of whoever writes; all others go through."""
    disk = Disk(n, number)
    with pytest.MonkeyPatch.context() as patch:
        for module in (io, builtins):
            patch.setattr(module, "open", _opened(disk, io.open))
        patch.setattr(os, "mkdir", _made(disk, os.mkdir))
        for name in ("replace", "rename", "fsync"):
            patch.setattr(os, name, _refusing(disk, f"os.{name}", getattr(os, name)))
        patch.setattr(
            pq.ParquetWriter, "write_table", _refusing(disk, "Parquet", pq.ParquetWriter.write_table, 1)
        )
        patch.setattr(warehouse, "connect_when_free", _connected(disk, warehouse.connect_when_free))
        patch.setattr(serving, "connect_when_free", _connected(disk, serving.connect_when_free))
        patch.setattr(serving.subprocess, "run", _copied(disk, subprocess.run))
        patch.setattr(vectors, "_insert", _lance(disk, vectors._insert))
        patch.setattr(lance_upkeep, "_optimize", _lance(disk, lance_upkeep._optimize))
        yield disk


@contextmanager
def no_file_beyond(n_bytes: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: DuckDB, LanceDB and Arrow meet it in their own code."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def _refusing(disk: Disk, what: str, original: Callable[..., Any], at: int = 0) -> Callable[..., Any]:
    def write(*args: Any, **options: Any) -> Any:
        if disk.refuses(what):
            path = args[at] if len(args) > at and isinstance(args[at], str | os.PathLike) else None
            raise disk.error(path)
        return original(*args, **options)

    return write


def _made(disk: Disk, original: Callable[..., Any]) -> Callable[..., Any]:
    def made(path: Any, *args: Any, **options: Any) -> Any:
        if not os.path.lexists(path) and disk.refuses("os.mkdir"):  # else nothing is written
            raise disk.error(path)
        return original(path, *args, **options)

    return made


def _opened(disk: Disk, original: Callable[..., Any]) -> Callable[..., Any]:
    def opened(file: Any, mode: str = "r", *args: Any, **options: Any) -> Any:
        if isinstance(file, int) or not set(mode) & set("wxa+") or str(file).endswith(".lock"):
            return original(file, mode, *args, **options)
        if disk.refuses("open"):
            raise disk.error(file)
        handle = original(file, mode, *args, **options)
        if disk.refuses("write"):
            handle.close()
            raise disk.error(file)
        return handle

    return opened


class _Connection:
    """A connection whose writing statements may be refused."""

    def __init__(self, disk: Disk, con: Any, path: Any) -> None:
        self._disk, self._con, self._path = disk, con, path

    def execute(self, query: str, *args: Any) -> Any:
        word = query.split(None, 1)[0].lower()
        if word in _WRITING and self._disk.refuses(f"DuckDB {word}"):
            raise duckdb.IOException(f'IO Error: Could not write file "{self._path}": {self._disk.words}')
        return self._con.execute(query, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._con, name)

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._con.close()


def _connected(disk: Disk, original: Callable[..., Any]) -> Callable[..., Any]:
    return lambda path, *args, **options: _Connection(disk, original(path, *args, **options), path)


def _copied(disk: Disk, original: Callable[..., Any]) -> Callable[..., Any]:
    def run(command: list[str], **options: Any) -> Any:
        if command[0].endswith("cp") and disk.refuses("cp"):
            return subprocess.CompletedProcess(
                command, 1, "", f"cp: error writing '{command[-1]}': {disk.words}"
            )
        return original(command, **options)

    return run


def _lance(disk: Disk, original: Callable[..., Any]) -> Callable[..., Any]:
    def write(*args: Any, **options: Any) -> Any:
        if disk.refuses("LanceDB"):
            told = f'Os {{ code: {disk.number}, kind: StorageFull, message: "{disk.words}" }}'
            raise RuntimeError(
                f"lance error: LanceError(IO): Generic LocalFileSystem error: {told}, object_store"
            )
        return original(*args, **options)

    return write
