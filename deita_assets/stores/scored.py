"""Scored pools in the warehouse: turns waiting for a score, and the mirror of scores per source.

What belongs here: statements about turns, scores and coverage. What does not: computing scores.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from deita_assets.core.fingerprint import Fingerprint, canonical_json
from deita_assets.errors import NotFoundError
from deita_assets.stores.sql import first, statement

if TYPE_CHECKING:
    import duckdb

#: Steps that cover a source with one fingerprint.
STEPS = ("complexity", "quality", "embedding")
_TITLES = {"complexity": "complexity_scores", "quality": "quality_scores", "embedding": "embeddings"}


@dataclass(frozen=True)
class Coverage:
    """Fingerprint and pool version of the last completed run of a step."""

    fingerprint: str
    pool_version: str


def wanted_keys(con: duckdb.DuckDBPyConnection, source: str, step: str) -> pa.Table:
    """(key, n_chars) of everything in a source's pool that a step must cover, once per key.

    `key` is prompt_sha256 for the two measures and content_sha256 for embeddings.
    """
    return _arrow(con, statement(f"scores/wanted_{step}"), {"source": source})


def texts(
    con: duckdb.DuckDBPyConnection, step: str, source: str, keys: Sequence[str]
) -> dict[str, tuple[str, str]]:
    """What a step reads of each key: (instruction, response), or (canonical conversation, "") for embeddings."""
    con.register("wanted_now", pa.table({"key": list(keys)}))
    rows = con.execute(statement(f"scores/texts_{step}"), {"source": source}).fetchall()
    return {str(key): (str(first), str(second)) for key, first, second in rows}


def joint_contents(
    con: duckdb.DuckDBPyConnection, source: str, keys: Sequence[str]
) -> list[tuple[str, str, str]]:
    """(quality prompt, content_sha256, canonical conversation) of conversations that are one question and answer."""
    con.register("wanted_now", pa.table({"key": list(keys)}))
    return con.execute(statement("scores/joint_contents"), {"source": source}).fetchall()


def save_fingerprint(con: duckdb.DuckDBPyConnection, fingerprint: Fingerprint) -> None:
    """Record what a fingerprint stands for; once."""
    con.execute(
        "insert or ignore into store.fingerprint values (?, ?, ?, ?)",
        [fingerprint.digest, fingerprint.kind, fingerprint.name, canonical_json(dict(fingerprint.spec))],
    )


def save_coverage(con: duckdb.DuckDBPyConnection, source: str, step: str, covered: Coverage) -> None:
    """Record that a step has covered a pool version with a fingerprint."""
    con.execute(
        "insert or replace into store.coverage values (?, ?, ?, ?)",
        [source, step, covered.fingerprint, covered.pool_version],
    )


def coverage(con: duckdb.DuckDBPyConnection, source: str, step: str) -> Coverage:
    """What the last completed run of a step covered.

    Raises:
        NotFoundError: the step never completed for this source.
    """
    row = first(
        con.execute(
            "select fingerprint, pool_version from store.coverage where source = ? and step = ?",
            [source, step],
        )
    )
    if row is None:
        raise NotFoundError(
            f"source {source!r} has no {_TITLES[step]} yet.",
            cure=f"Materialise {_TITLES[step]} for it, or run `deita-assets curate --source {source}`.",
        )
    return Coverage(*row)


def save_attempt(
    con: duckdb.DuckDBPyConnection, source: str, step: str, fingerprint: str | None, error: str
) -> None:
    """Record a failed attempt; it will be made again."""
    con.execute(
        "insert into store.scoring_attempt values (?, ?, ?, ?, ?)",
        [step, source, fingerprint, error[:2000], dt.datetime.now(dt.UTC)],
    )


def replace_scored_turns(
    con: duckdb.DuckDBPyConnection, source: str, measure: str, scorer_fp: str, results: pa.Table
) -> None:
    """Mirror one measure of a source: every turn in its pool, with a score where there is one."""
    con.register("results_now", results)
    con.execute("delete from store.scored_turn where source = ? and measure = ?", [source, measure])
    con.execute(statement(f"scores/insert_scored_turn_{measure}"), {"source": source, "scorer": scorer_fp})
    con.unregister("results_now")


def turns_side_by_side(con: duckdb.DuckDBPyConnection, source: str) -> list[tuple[Any, ...]]:
    """(sample_id, content_sha256, turn, complexity, quality, status, status) of every turn, in row and turn order."""
    return con.execute(statement("scores/turns_side_by_side"), {"source": source}).fetchall()


def replace_scored_pool(con: duckdb.DuckDBPyConnection, source: str, rows: pa.Table) -> None:
    """Replace the scored pool of a source."""
    con.register("scored_now", rows)
    con.execute("delete from store.scored_pool where source = ?", [source])
    con.execute("insert into store.scored_pool by name select * from scored_now")
    con.unregister("scored_now")


def _arrow(con: duckdb.DuckDBPyConnection, query: str, parameters: dict[str, Any]) -> pa.Table:
    return con.sql(query, params=parameters).to_arrow_table()
