"""Audit of the two DuckDB files: every block read, every text against its hash, every account made again.

DuckDB has a checksum in each block and compares it when the block is read, so a table that was read to its end is as
it was written. What it cannot notice is a row that was changed through SQL; for that the texts have hashes of their own
and the accounts their sums. The lock is held for one table, one stretch of texts or one account at a time.

What belongs here: `warehouse.duckdb` and `serving.duckdb` by themselves. What does not: LanceDB (verify_lance).
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from deita_assets.core.checks.finding import rows
from deita_assets.engines.checks.pool import check_pool
from deita_assets.engines.checks.serving import check_serving
from deita_assets.engines.verify_parts import REPAIR, Audit, Damage, OnPart, Part, ordered
from deita_assets.engines.version_parts import turn_altered
from deita_assets.errors import StoreError
from deita_assets.stores import pool
from deita_assets.stores.sql import statement
from deita_assets.stores.warehouse import Warehouse

if TYPE_CHECKING:
    from deita_assets.stores.home import Home

WAREHOUSE, SERVING, TEXTS, ACCOUNTS = "warehouse.duckdb", "serving.duckdb", "conversations", "sources"
#: Rows of a table that are read in one go: about 100 MB of text, half a second.
STRETCH_ROWS = 50_000


def audit_blocks(warehouse: Warehouse, on_part: OnPart) -> Audit:
    """Read the warehouse to its end; damage means that nothing else in it can be relied on."""
    found, damaged = Audit([Part(WAREHOUSE, "rows")]), []
    try:
        with warehouse.read("verify: tables") as con:
            tables = _tables(con)
    except (duckdb.Error, StoreError) as error:
        found.damage.append(_unreadable(warehouse.home, [], str(error)))
        return found
    first_error = ""
    for table, n_rows in tables:
        try:
            for low in range(0, max(n_rows, 1), STRETCH_ROWS):
                with warehouse.read(f"verify: {table}") as con:
                    found.parts[0].looked_at += _read_stretch(con, table, low, low + STRETCH_ROWS)
                on_part(WAREHOUSE, found.parts[0].looked_at, sum(n for _, n in tables))
        except duckdb.Error as error:
            damaged.append(f"store.{table}")
            first_error = first_error or str(error)
    if damaged:
        found.damage.append(_unreadable(warehouse.home, damaged, first_error))
    return found


def _tables(con: duckdb.DuckDBPyConnection) -> list[tuple[str, int]]:
    """Tables and the row ids that they have given out."""
    names = [str(name) for (name,) in con.execute(statement("verify/tables")).fetchall()]
    sizes = {
        name: con.execute(f'select coalesce(max(rowid) + 1, 0) from store."{name}"').fetchall()[0][0]  # noqa: S608
        for name in names
    }
    return list(sizes.items())


def _read_stretch(con: duckdb.DuckDBPyConnection, table: str, low: int, high: int) -> int:
    """Read every column of a stretch of rows; how many there were."""
    # A hash of the whole row: nothing less makes DuckDB read each block, long texts among them.
    query = f'select count(*), bit_xor(hash(t)) from store."{table}" t where rowid >= ? and rowid < ?'  # noqa: S608
    return int(con.execute(query, [low, high]).fetchall()[0][0])


def _unreadable(home: Home, tables: list[str], said: str) -> Damage:
    where = f", in {', '.join(tables)}" if tables else ""
    serving_reads = _serving_error(home) is None and home.serving.exists()
    way = (
        "move it and its .wal aside, copy serving.duckdb (which reads to its end, and is the warehouse as it was when "
        "it was last published) in its place with `cp --no-preserve=mode`, then run `deita-assets add SOURCE` for each "
        "source and `curate`"
        if serving_reads
        else "restore it from a backup; without one, move it and its .wal aside and run `deita-assets add SOURCE` for "
        "each source: landing holds the rows, lance/ their scores and vectors"
    )
    return Damage(
        WAREHOUSE, "unreadable", max(len(tables), 1),
        f"{WAREHOUSE} cannot be read to its end{where}: {_line(said)}",
        f"It is never overwritten. End everything that runs on this home; {way}.",
        tuple(tables), repairable=False,
    )  # fmt: skip


def audit_rows(warehouse: Warehouse, on_part: OnPart) -> Audit:
    """Texts, accounts and references inside a warehouse that can be read."""
    found = Audit()
    found.take(_texts(warehouse, on_part))
    found.take(_accounts(warehouse))
    found.damage += _astray(warehouse)
    return found


def _texts(warehouse: Warehouse, on_part: OnPart) -> Audit:
    part, altered = Part(TEXTS, "texts"), []
    with warehouse.read("verify: texts") as con:
        n_rows = dict(_tables(con))["conversation"]
        part.looked_at = con.execute("select count(*) from store.conversation").fetchall()[0][0]
    for low in range(0, n_rows, STRETCH_ROWS):
        with warehouse.read("verify: texts") as con:
            odd = con.execute(
                statement("verify/altered_texts"), {"low": low, "high": low + STRETCH_ROWS}
            ).fetchall()
        altered += [str(sample_id) for (sample_id,) in odd]
        on_part(TEXTS, min(low + STRETCH_ROWS, n_rows), n_rows)
    altered = sorted({*altered, *_altered_turns(warehouse)})
    return Audit([part], [_altered(warehouse, altered)] if altered else [])


def _altered_turns(warehouse: Warehouse) -> list[str]:
    """Rows with a turn that is not of its prompts' hashes."""
    altered = []
    with warehouse.read("verify: turns") as con:
        n_rows = dict(_tables(con))["turn"]
    for low in range(0, n_rows, STRETCH_ROWS):
        with warehouse.read("verify: turns") as con:
            odd = con.execute(
                statement("verify/odd_turns"), {"low": low, "high": low + STRETCH_ROWS}
            ).fetchall()
        altered += [str(row[0]) for row in odd if turn_altered(*row[1:])]
    return altered


def _altered(warehouse: Warehouse, altered: list[str]) -> Damage:
    with warehouse.read("verify: where texts come from") as con:
        con.register("damaged_now", pa.table({"sample_id": altered}))
        found = con.execute(statement("verify/stands_in")).fetchall()
    places = {str(row[0]): tuple(row[1:]) for row in found}
    first = next(
        (f"{row} was read from landing/{s}/{u}:{n}" for row, (s, u, _, n) in places.items() if u), ""
    )
    return Damage(
        TEXTS, "text", len(altered),
        f"{rows(len(altered), 'conversation')} with another text than was read" + (f"; {first}" if first else ""),
        f"{REPAIR} reads those lines again, where the files stand in landing as they did.",
        ordered(altered), facts=places,
    )  # fmt: skip


def _accounts(warehouse: Warehouse) -> Audit:
    with warehouse.read("verify: sources") as con:
        known = pool.sources(con)
    found = Audit([Part(ACCOUNTS, "sources", len(known))])
    for source in known:
        for one in check_pool(warehouse, source):
            if one.grave and not one.passed:
                found.damage.append(
                    Damage(
                        ACCOUNTS, "account", 1, one.message,
                        f"{one.cure} Tables were altered behind the platform's back: restore a backup of {WAREHOUSE}, "
                        "or move the home aside and add its landing folders to a new one.",
                        tuple(one.examples) or (source,), repairable=False,
                    )
                )  # fmt: skip
    return found


def _astray(warehouse: Warehouse) -> list[Damage]:
    lost: dict[str, list[str]] = defaultdict(list)
    with warehouse.read("verify: references") as con:
        for what, sample_id in con.execute(statement("verify/astray")).fetchall():
            lost[what].append(sample_id)
    return [
        Damage(
            WAREHOUSE, "astray", len(ids), f"{rows(len(ids), 'id')} of {what}s without a conversation",
            f"Their texts are gone from {WAREHOUSE}; restore a backup of it.",
            tuple(ids), repairable=False,
        )
        for what, ids in lost.items()
    ]  # fmt: skip


def audit_serving(warehouse: Warehouse, on_part: OnPart) -> Audit:
    """The published copy: read to its end, and its tables counted beside those of the warehouse."""
    home, found = warehouse.home, Audit([Part(SERVING, "rows")])
    if not home.serving.exists():
        found.notes.append(f"{SERVING} is not there: nothing was published yet.")
        return found
    cure = f"{REPAIR} publishes it again."
    if (said := _serving_error(home, found.parts[0])) is not None:
        message = f"{SERVING} cannot be read to its end: {_line(said)}"
        found.damage.append(Damage(SERVING, "unreadable", 1, message, cure))
        return found
    on_part(SERVING, found.parts[0].looked_at, found.parts[0].looked_at)
    for one in check_serving(warehouse):
        if not one.passed:
            found.damage.append(Damage(SERVING, "differs", 1, one.message, cure))
    return found


def _serving_error(home: Home, part: Part | None = None) -> str | None:
    """What DuckDB says when it reads the copy to its end; None when it can."""
    if not home.serving.exists():
        return None
    try:
        with closing(duckdb.connect(str(home.serving), read_only=True)) as con:
            for table, n_rows in _tables(con):
                for low in range(0, max(n_rows, 1), STRETCH_ROWS):
                    n_read = _read_stretch(con, table, low, low + STRETCH_ROWS)
                    if part is not None:
                        part.looked_at += n_read
    except duckdb.Error as error:
        return str(error)
    return None


def _line(said: str) -> str:
    return said.strip().splitlines()[0][:200] if said.strip() else "no message"
