"""The DuckDB warehouse: opening it late, closing it early, and keeping its schema current.

DuckDB allows one writing process or many reading ones per file, never both, and refuses the others at once.
So every access waits for `warehouse.lock` first (shared to read, exclusive to write) and keeps it for one short
transaction. Nothing computes while a connection is open.

What belongs here: connections, transactions, migrations. What does not: statements about rows.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from deita_assets.core.fingerprint import sha256_hex
from deita_assets.errors import LockTimeoutError, StoreError
from deita_assets.stores.home import Home
from deita_assets.stores.lock import DEFAULT_DEADLINE_S, file_lock
from deita_assets.stores.sql import statements

#: v1.5.0 files are read by DuckDB 1.5 clients too; 2.0's own default is read by 2.0 alone.
_CONFIG: dict[str, Any] = {
    "storage_compatibility_version": "v1.5.0",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
#: Whom DuckDB names that has a file open: program and pid.
_HOLDER = re.compile(r"Conflicting lock is held in (.*) \(PID (\d+)\)")
_MIGRATIONS = "create table if not exists store.migration(name varchar primary key, sha256 varchar not null)"


@dataclass(frozen=True)
class WarehouseSpace:
    """Bytes of `warehouse.duckdb`, of its blocks that are free for later writes, and of its write-ahead log."""

    n_bytes: int
    free_bytes: int
    wal_bytes: int


class Warehouse:
    """Short, serialised transactions on `warehouse.duckdb` of one home."""

    def __init__(self, home: Home, *, deadline_s: float = DEFAULT_DEADLINE_S) -> None:
        self.home = home
        self.deadline_s = deadline_s

    @contextmanager
    def write(self, purpose: str, *, memory: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
        """One transaction: committed when the block ends, rolled back when it raises.

        Args:
            purpose: in words, shown to processes that wait for the lock.
            memory: bytes that DuckDB may hold, more goes to a temporary file; None for 80 % of the machine. Texts above
                4 KB do not go there: up to 122,880 rows of a table are held whole when they are committed.

        Raises:
            LockTimeoutError: another process held the warehouse until the deadline.
            MemoryError: `memory` is not enough; nothing was written.
        """
        with self._open(purpose, read_only=False) as con, _short_of(memory):
            if memory is not None:
                con.execute(f"set memory_limit = '{memory}B'")
            con.execute("begin")
            try:
                yield con
            except BaseException:
                with suppress(duckdb.Error):  # already rolled back; the first error is the one to show
                    con.execute("rollback")
                raise
            con.execute("commit")

    @contextmanager
    def read(self, purpose: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """A read-only connection; many may be open at once."""
        if not self.home.warehouse.exists():
            self.migrate()
        with self._open(purpose, read_only=True) as con:
            yield con

    def migrate(self) -> None:
        """Bring the schema and the public views up to date; a no-op when they are.

        Raises:
            StoreError: when an applied migration differs from the shipped one.
        """
        with self.write("migrate the warehouse") as con:
            con.execute("create schema if not exists store")
            con.execute(_MIGRATIONS)
            applied = dict(con.execute("select name, sha256 from store.migration").fetchall())
            for name, text in statements("schema"):
                _apply_migration(con, name, text, applied.get(name))
            public = statements("public")
            digest = sha256_hex("".join(text for _, text in public))
            if applied.get("public") != digest:
                for _, text in public:
                    con.execute(text)
                con.execute("insert or replace into store.migration values ('public', ?)", [digest])

    def space(self) -> WarehouseSpace:
        """How the file lies."""
        with self._open("how large is it", read_only=True) as con:
            return self._space(con)

    def checkpoint(self) -> WarehouseSpace:
        """Write the log into the file, and cut free blocks off its end; how it lies then.

        Free blocks inside stay and are filled by later writes. A new file without them would be 13 % smaller where
        measured, which is not worth a second copy of the truth.
        """
        with self._open("checkpoint", read_only=False) as con:
            con.execute("checkpoint")
            return self._space(con)

    def _space(self, con: duckdb.DuckDBPyConnection) -> WarehouseSpace:
        size, free = con.execute(
            "select block_size * total_blocks, block_size * free_blocks from pragma_database_size() "
            "where database_name = current_database()"
        ).fetchall()[0]
        wal = self.home.warehouse.with_name(self.home.warehouse.name + ".wal")
        return WarehouseSpace(int(size), int(free), wal.stat().st_size if wal.exists() else 0)

    @contextmanager
    def _open(self, purpose: str, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        with file_lock(self.home.warehouse_lock, purpose, shared=read_only, deadline_s=self.deadline_s):
            con = connect_when_free(
                self.home.warehouse, purpose, self.deadline_s,
                read_only=read_only, config=_CONFIG | {"threads": os.cpu_count() or 1},
            )  # fmt: skip
            try:
                con.execute("set TimeZone = 'UTC'")
                con.execute(
                    "set enable_progress_bar = false"
                )  # `python -c` counts as interactive: it is on there
                yield con
            finally:
                con.close()


@contextmanager
def _short_of(memory: int | None) -> Iterator[None]:
    """Tell a limit of memory that is too low from other errors: of a commit it is a transaction's error."""
    try:
        yield
    except duckdb.Error as error:
        short = isinstance(error, duckdb.OutOfMemoryException) or "failed to pin block" in str(error)
        if memory is not None and short:
            raise MemoryError(f"DuckDB needs more than {memory} bytes") from error
        raise


def connect_when_free(
    path: Path, purpose: str, deadline_s: float, **options: Any
) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file, waiting for a program that opened it itself and knows nothing of `warehouse.lock`.

    Raises:
        LockTimeoutError: that program had it open until the deadline.
    """
    deadline = time.monotonic() + deadline_s
    while True:
        try:
            return duckdb.connect(str(path), **options)
        except duckdb.IOException as error:
            holder = _HOLDER.search(str(error))
            if holder is None:
                raise
            if time.monotonic() >= deadline:
                raise LockTimeoutError(
                    f"{purpose}: {path.name} was still open in another program after {deadline_s:.0f} s: pid "
                    f"{holder[2]} ({holder[1]}).",
                    cure="Close it there, and query serving.duckdb instead, which may be open at any time.",
                ) from error
            time.sleep(0.1 + random.random() * 0.1)  # noqa: S311 - jitter, not a secret


def _apply_migration(con: duckdb.DuckDBPyConnection, name: str, text: str, applied: str | None) -> None:
    digest = sha256_hex(text)
    if applied is None:
        con.execute(text)
        con.execute("insert into store.migration values (?, ?)", [name, digest])
    elif applied != digest:
        raise StoreError(
            f"warehouse.duckdb: migration {name} was applied as {applied[:12]}, this version ships {digest[:12]}.",
            cure="Use the version of deita_assets that made this home, or start a new home.",
        )
