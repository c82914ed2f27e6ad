"""A warehouse as it was: what the spec of a version pins, copied out of the present one into a fresh one.

Pool versions are taken apart by the numbers (`seq`) under which files came and went, take-downs by theirs; texts,
turns, scores and vectors never change and are found by their keys. What was made of them is made
again.

What belongs here: statements about the two warehouses. What does not: where the fresh one stands, and what is made
in it (engines).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from deita_assets.stores.lock import file_lock
from deita_assets.stores.sql import first, statement
from deita_assets.stores.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb

_TABLES = "select table_name from duckdb_tables() where database_name = 'present' and schema_name = 'store'"


@dataclass(frozen=True)
class Pin:
    """One pool version of one source, and when it was: `seq` counts the ingests of the source."""

    source: str
    pool_version: str
    seq: int
    n_rows: int


@dataclass(frozen=True)
class Wanted:
    """What is copied.

    Attributes:
        pins: pool versions, each source once.
        licences: source -> licence as it was; sources that are not named keep their present one.
        fingerprints: digests.
        bases: selection versions under a frozen base, that base first.
        base_members: ids of the rows that a frozen base gave.
        taken_down: ids of members of the frozen base that had been taken down by then.
    """

    pins: Sequence[Pin]
    licences: Mapping[str, str | None]
    fingerprints: Sequence[str]
    bases: Sequence[str]
    base_members: Sequence[str]
    taken_down: Sequence[str]


@contextmanager
def beside_present(past: Warehouse, present: Warehouse, purpose: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A transaction on `past` with the other warehouse attached as `present`, read-only, under its shared lock."""
    with (
        file_lock(present.home.warehouse_lock, purpose, shared=True, deadline_s=present.deadline_s),
        past.write(purpose) as con,
    ):
        path = str(present.home.warehouse).replace("'", "''")
        con.execute(f"attach '{path}' as present (read_only)")
        yield con


def find_pins(
    con: duckdb.DuckDBPyConnection, versions: Sequence[tuple[str, str]], moment: dt.datetime
) -> list[Pin]:
    """Where (source, pool_version) pairs stand in the history of their sources; those that are gone are missing.

    A pool that came back to an earlier state has its version twice: the last one before `moment` is meant.
    """
    sources, digests = [source for source, _ in versions], [version for _, version in versions]
    rows = con.execute(
        statement("reproduce/pins"), {"sources": sources, "versions": digests, "moment": moment}
    ).fetchall()
    return [Pin(*row) for row in rows]


def fill(con: duckdb.DuckDBPyConnection, wanted: Wanted) -> None:
    """Copy what was wanted from `present` into the fresh warehouse of the connection."""
    con.register("pinned", _pinned(wanted))
    con.register("base_now", pa.table({"sample_id": pa.array(wanted.base_members, pa.string())}))
    con.register("fingerprints_now", pa.table({"fingerprint": pa.array(wanted.fingerprints, pa.string())}))
    con.execute(statement("reproduce/fill"))
    con.execute("create or replace table store.base as select sample_id from base_now")
    for (source,) in con.execute("select distinct source from store.conversation order by 1").fetchall():
        con.execute(statement("pool/mark_conversation"), {"source": source})
    now = dt.datetime.now(dt.UTC)
    for sample_id in wanted.taken_down:
        con.execute("insert into store.takedown values (?, 'then', ?, 0)", [sample_id, now])
    _copy_bases(con, wanted.bases)
    for name in ("pinned", "base_now", "fingerprints_now"):
        con.unregister(name)


def _pinned(wanted: Wanted) -> pa.Table:
    pins = wanted.pins
    return pa.table(
        {
            "source": pa.array([pin.source for pin in pins], pa.string()),
            "pool_version": pa.array([pin.pool_version for pin in pins], pa.string()),
            "seq": pa.array([pin.seq for pin in pins], pa.int64()),
            "licence": pa.array([wanted.licences.get(pin.source) for pin in pins], pa.string()),
            "licence_known": pa.array([pin.source in wanted.licences for pin in pins], pa.bool_()),
        }
    )


def _copy_bases(con: duckdb.DuckDBPyConnection, bases: Sequence[str]) -> None:
    for table, versions in (("selection", bases), ("selection_member", bases[:1])):
        con.execute(
            f"insert into store.{table} by name select * from present.store.{table} "  # noqa: S608 - names above
            "where selection_version in (select unnest($versions))",
            {"versions": list(versions)},
        )


def detectors(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Names of the language detectors whose answers `present` holds, the newest name first."""
    if "language" not in {name for (name,) in con.execute(_TABLES).fetchall()}:
        return []
    rows = con.execute("select distinct detector from present.store.language order by 1 desc").fetchall()
    return [str(name) for (name,) in rows]


def copy_languages(con: duckdb.DuckDBPyConnection, detector: str, known_as: str) -> None:
    """Take what a detector recognised then for what the one of the name `known_as` recognises now."""
    con.execute("delete from store.language")
    con.execute(statement("reproduce/fill_languages"), {"detector": detector, "known_as": known_as})


def pool_digest(con: duckdb.DuckDBPyConnection, source: str) -> tuple[str, int]:
    """(digest of the content hashes, rows) of the pool of a source as it was filled in."""
    row = first(con.execute(statement("pool/pool_digest"), {"source": source}))
    return (str(row[0]), int(row[1])) if row else ("", 0)


def lost_rows(con: duckdb.DuckDBPyConnection) -> list[tuple[str, int, str]]:
    """(source, rows without their conversation, one of them)."""
    return con.execute(statement("reproduce/lost_rows")).fetchall()


def altered_texts(con: duckdb.DuckDBPyConnection) -> list[tuple[str, str, str]]:
    """(sample_id, sha256 of its text, content_sha256) of rows whose text is not the one that was read."""
    return con.execute(statement("reproduce/altered_texts")).fetchall()


def lost_turns(con: duckdb.DuckDBPyConnection) -> list[tuple[str, int, str]]:
    """(source, rows with other turns than were counted, one of them)."""
    return con.execute(statement("reproduce/lost_turns")).fetchall()


def odd_turns(con: duckdb.DuckDBPyConnection) -> list[tuple[str, int, str, str, str, str]]:
    """Turns to look at closely: (sample_id, turn, instruction, response, complexity prompt, quality prompt)."""
    return con.execute(statement("reproduce/odd_turns")).fetchall()


def lost_scores(con: duckdb.DuckDBPyConnection, sources: Sequence[str]) -> list[tuple[str, str, int, int]]:
    """(source, measure, prompts without a stored result, prompts) of scored pools where some have none."""
    con.register("scored_now", pa.table({"source": pa.array(sources, pa.string())}))
    found = con.execute(statement("reproduce/lost_scores")).fetchall()
    con.unregister("scored_now")
    return found


def moved_scores(
    con: duckdb.DuckDBPyConnection, ledger_id: str, then: pa.Table
) -> list[tuple[str, float | None, float | None]]:
    """(sample_id, evol_score then, now) of the rows of `then` that a ledger scores otherwise.

    `then` has sample_id, rank and evol_score.
    """
    con.register("scores_then", then)
    found = con.execute(statement("reproduce/moved_scores"), {"ledger_id": ledger_id}).fetchall()
    con.unregister("scores_then")
    return found


def without_vector(con: duckdb.DuckDBPyConnection, ledger_id: str) -> list[str]:
    """Rows of a ledger that had no vector, in id order."""
    rows = con.execute(
        "select sample_id from store.ledger_row where ledger_id = ? and reason = 'no_embedding' order by 1",
        [ledger_id],
    ).fetchall()
    return [str(sample_id) for (sample_id,) in rows]


def scores_of(con: duckdb.DuckDBPyConnection, ledger_id: str) -> pa.Table:
    """(sample_id, rank, evol_score) of every row of a ledger."""
    query = "select sample_id, rank, evol_score from store.ledger_row where ledger_id = $ledger_id"
    return con.sql(query, params={"ledger_id": ledger_id}).to_arrow_table()
