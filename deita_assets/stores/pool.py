"""The raw pool in the warehouse: what an ingest writes in its one transaction, and what later steps read.

What belongs here: statements about files, conversations, occurrences and pool versions.
What does not: parsing (readers), and opening the warehouse (its caller passes a connection).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deita_assets.errors import AccountingError, NotFoundError
from deita_assets.stores.sql import first, statement

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class LandingFile:
    """One file of a source as it stands in landing."""

    uri: str
    file_sha256: str
    n_bytes: int


@dataclass(frozen=True)
class StagedFile:
    """One parsed file: its identity and how many rows its reader saw."""

    file: LandingFile
    container: str
    compression: str
    n_read: int
    n_quarantined: int


@dataclass(frozen=True)
class IngestReport:
    """What one ingest did, over the whole source; `n_read = n_pool + n_taken + n_exact_duplicates + n_quarantined`."""

    source: str
    format: str | None
    pool_version: str
    seq: int
    n_read: int
    n_pool: int
    n_exact_duplicates: int
    n_quarantined: int
    n_new: int = 0
    n_withdrawn: int = 0
    n_withheld: int = 0
    changed: bool = False
    quarantine_reasons: Mapping[str, int] = field(default_factory=dict)
    n_taken: int = 0


def known_source(
    con: duckdb.DuckDBPyConnection, source: str
) -> tuple[str | None, dict[str, str], str | None]:
    """(format, field map, licence) of a source; (None, {}, None) when it is new."""
    row = first(con.execute("select format, field_map, licence from store.source where source = ?", [source]))
    return (row[0], json.loads(row[1]), row[2]) if row else (None, {}, None)


def live_files(con: duckdb.DuckDBPyConnection, source: str) -> set[tuple[str, str]]:
    """(uri, file_sha256) of the files that count for a source now."""
    query = "select uri, file_sha256 from store.file where source = ? and to_seq is null"
    return {(str(uri), str(sha)) for uri, sha in con.execute(query, [source]).fetchall()}


def readers(con: duckdb.DuckDBPyConnection, source: str) -> set[str]:
    """Versions of the parsing rules that the files of a source were read with."""
    query = (
        "select distinct b.reader from store.file f join store.ingest_batch b on b.batch_id = f.batch_id "
        "where f.source = ? and f.to_seq is null"
    )
    return {str(reader) for (reader,) in con.execute(query, [source]).fetchall()}


def save_source(
    con: duckdb.DuckDBPyConnection,
    source: str,
    *,
    format: str | None,  # noqa: A002 - the field's word
    field_map: Mapping[str, str],
    licence: str | None,
) -> None:
    """Record how a source is read and under which licence it stands."""
    con.execute(
        "insert or replace into store.source values (?, ?, ?, ?)",
        [source, format, json.dumps(dict(field_map), sort_keys=True), licence],
    )


def load_staged(con: duckdb.DuckDBPyConnection, folder: Path, source: str, seq: int, batch_id: str) -> None:
    """Move the staged Parquet files of one ingest into the store.

    Rows whose content was taken down elsewhere are taken down here too, from this ingest on.
    """
    parameters = {"source": source, "seq": seq, "batch_id": batch_id}
    for name in ("conversation", "turn", "occurrence", "quarantine"):
        pattern = sorted(str(path) for path in folder.glob(f"{name}-*.parquet"))
        if pattern:
            con.execute(statement(f"pool/insert_{name}"), {"files": pattern, **_wanted(name, parameters)})
    con.execute(statement("pool/take_down_again"), {"source": source, "seq": seq})


def _wanted(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    keys = {
        "conversation": ("batch_id",),
        "turn": (),
        "occurrence": ("seq",),
        "quarantine": ("seq", "batch_id"),
    }
    return {key: parameters[key] for key in keys[name]}


def close_files(
    con: duckdb.DuckDBPyConnection, source: str, gone: Iterable[tuple[str, str]], seq: int
) -> None:
    """Withdraw the occurrences of files that left landing; reversible, nothing is deleted."""
    for uri, sha in gone:
        for table in ("file", "occurrence", "quarantine"):
            con.execute(
                f"update store.{table} set to_seq = ? "  # noqa: S608 - table names above, values bound
                "where source = ? and uri = ? and file_sha256 = ? and to_seq is null",
                [seq, source, uri, sha],
            )


def reopen_files(
    con: duckdb.DuckDBPyConnection, source: str, gone: Iterable[tuple[str, str]], seq: int
) -> None:
    """Undo `close_files` of the same ingest."""
    for uri, sha in gone:
        for table in ("file", "occurrence", "quarantine"):
            con.execute(
                f"update store.{table} set to_seq = null "  # noqa: S608 - table names above, values bound
                "where source = ? and uri = ? and file_sha256 = ? and to_seq = ?",
                [source, uri, sha, seq],
            )


def rows_of_files(
    con: duckdb.DuckDBPyConnection, source: str, uris: Sequence[str]
) -> tuple[list[str], list[str]]:
    """(rows that these files alone hold, rows that another file holds too), of the rows in the pool now."""
    found = con.execute(statement("pool/rows_of_files"), {"source": source, "uris": list(uris)}).fetchall()
    return [row for row, leaves in found if leaves], [row for row, leaves in found if not leaves]


def rows_in_pool(con: duckdb.DuckDBPyConnection, source: str) -> set[str]:
    """sample_id of every row in the pool of a source."""
    query = "select sample_id from store.pool_row where source = ?"
    return {str(row) for (row,) in con.execute(query, [source]).fetchall()}


def rows_lost(con: duckdb.DuckDBPyConnection, source: str) -> tuple[int, int]:
    """(rows in the pool before, of these no longer in it); reads the temporary table `was_in_pool`."""
    (before,) = _one(con, "select count(*) from was_in_pool", [])
    (lost,) = _one(
        con,
        "select count(*) from was_in_pool w anti join "
        "(select sample_id from store.pool_row where source = ?) r on r.sample_id = w.sample_id",
        [source],
    )
    return int(before), int(lost)


def rows_gained(con: duckdb.DuckDBPyConnection, source: str) -> int:
    """Rows in the pool now that were not in it before; reads the temporary table `was_in_pool`."""
    (gained,) = _one(
        con,
        "select count(*) from store.pool_row r anti join was_in_pool w on w.sample_id = r.sample_id "
        "where r.source = ?",
        [source],
    )
    return int(gained)


def save_files(
    con: duckdb.DuckDBPyConnection, source: str, staged: Sequence[StagedFile], seq: int, batch_id: str
) -> None:
    """Record the files of one ingest."""
    for one in staged:
        con.execute(
            "insert into store.file values (?, ?, ?, ?, ?, ?, ?, ?, ?, null)",
            [
                source,
                one.file.uri,
                one.file.file_sha256,
                one.file.n_bytes,
                one.container,
                one.compression,
                one.n_read,
                batch_id,
                seq,
            ],
        )


def save_batch(
    con: duckdb.DuckDBPyConnection,
    report: IngestReport,
    batch_id: str,
    *,
    reader: str,
    extra_fields: Sequence[str],
    run_id: str | None,
) -> None:
    """Record one ingest batch with its counts."""
    con.execute(
        "insert into store.ingest_batch values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            batch_id,
            report.source,
            report.seq,
            report.format,
            reader,
            report.n_read,
            report.n_new,
            report.n_exact_duplicates,
            report.n_quarantined,
            report.n_withdrawn,
            json.dumps(sorted(extra_fields)),
            run_id,
            dt.datetime.now(dt.UTC),
        ],
    )


def rebuild_pool(con: duckdb.DuckDBPyConnection, source: str, seq: int) -> tuple[str, int]:
    """Recompute which rows are in the pool; returns (pool_version, rows).

    A row is in the pool while one occurrence of it lives and it was not taken down.
    """
    con.execute("delete from store.pool_row where source = ?", [source])
    con.execute(statement("pool/insert_pool_row"), {"source": source})
    con.execute(statement("pool/mark_conversation"), {"source": source})
    version, n_rows = _one(con, statement("pool/pool_digest"), {"source": source})
    con.execute("update store.pool_row set pool_version = ? where source = ?", [version, source])
    con.execute(
        "insert or replace into store.pool_version values (?, ?, ?, ?, ?)",
        [source, seq, version, n_rows, dt.datetime.now(dt.UTC)],
    )
    return str(version), int(n_rows)


def account(con: duckdb.DuckDBPyConnection, source: str) -> IngestReport:
    """Counts of a source as it stands, checked against each other.

    Raises:
        AccountingError: rows read by the readers != rows in pool + exact duplicates + quarantined.
        NotFoundError: the source was never ingested.
    """
    version = first(
        con.execute(
            "select pool_version, seq, n_rows from store.pool_version where source = ? order by seq desc limit 1",
            [source],
        )
    )
    if version is None:
        raise NotFoundError(
            f"source {source!r} has no pool yet.", cure=f"Run `deita-assets add {source} PATH`."
        )
    known_format, _, _ = known_source(con, source)
    n_read, n_occurrences, n_distinct, n_quarantined, n_pool, n_taken = _one(
        con, statement("pool/account"), {"source": source}
    )
    duplicates = n_occurrences - n_distinct
    if n_read != n_pool + n_taken + duplicates + n_quarantined:
        raise AccountingError(
            f"source {source!r}: {n_read} rows read, but {n_pool} in pool + {n_taken} taken down + "
            f"{duplicates} exact duplicates + {n_quarantined} quarantined.",
            cure="Nothing was written. Please report the file that did this.",
        )
    reasons = con.execute(
        "select reason, count(*) from store.quarantine where source = ? and to_seq is null "
        "group by 1 order by 2 desc, 1",
        [source],
    ).fetchall()
    return IngestReport(
        source, known_format, version[0], version[1], n_read, n_pool, duplicates, n_quarantined,
        quarantine_reasons={str(reason): int(count) for reason, count in reasons}, n_taken=n_taken,
    )  # fmt: skip


def next_seq(con: duckdb.DuckDBPyConnection, source: str) -> int:
    """Number of the next ingest of a source, from 1."""
    (last,) = _one(con, "select coalesce(max(seq), 0) from store.pool_version where source = ?", [source])
    return int(last) + 1


def pool_version(con: duckdb.DuckDBPyConnection, source: str) -> tuple[str, int]:
    """(pool_version, rows) of a source now.

    Raises:
        NotFoundError: the source was never ingested.
    """
    row = first(
        con.execute(
            "select pool_version, n_rows from store.pool_version where source = ? order by seq desc limit 1",
            [source],
        )
    )
    if row is None:
        raise NotFoundError(
            f"source {source!r} has no pool yet.", cure=f"Run `deita-assets add {source} PATH`."
        )
    return str(row[0]), int(row[1])


def sources(con: duckdb.DuckDBPyConnection) -> list[str]:
    """Every source that was ever ingested, in name order."""
    return [str(row[0]) for row in con.execute("select source from store.source order by source").fetchall()]


def _one(con: duckdb.DuckDBPyConnection, query: str, parameters: Any) -> tuple[Any, ...]:
    row = first(con.execute(query, parameters))
    assert row is not None, query  # noqa: S101 - aggregates always give one row
    return row
