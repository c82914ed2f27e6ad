"""The scored pool of a source: per-turn scores joined, multiplied and aggregated into evol_score.

Sums run in Python in turn order with `math.fsum`: a float `sum()` in SQL depends on how threads split the rows.

What belongs here: from stored scores to one row per conversation. What does not: computing scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from math import fsum, isfinite
from typing import Any

import pyarrow as pa

from deita_assets.core.evol_score import aggregate
from deita_assets.core.fingerprint import sha256_hex
from deita_assets.errors import NotFoundError, StoreError
from deita_assets.stores import pool, scored
from deita_assets.stores.scored import Coverage
from deita_assets.stores.vectors import ScoreTable
from deita_assets.stores.warehouse import Warehouse

_SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()), ("source", pa.string()), ("content_sha256", pa.string()), ("n_turns", pa.int32()),
        ("complexity", pa.float64()), ("quality", pa.float64()), ("evol_score", pa.float64()),
        ("turn_products", pa.list_(pa.float64())), ("unscored_reason", pa.string()),
        ("scorer_complexity", pa.string()), ("scorer_quality", pa.string()), ("pool_version", pa.string()),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class ScoredPool:
    """Summary of a source's scored pool."""

    source: str
    pool_version: str
    n_rows: int
    n_unscored: int
    unscored_reasons: dict[str, int]
    version: str
    evol_scores: list[float] = field(repr=False)
    complexity: list[float] = field(repr=False)
    quality: list[float] = field(repr=False)


def score_pool(warehouse: Warehouse, source: str, aggregation: str) -> ScoredPool:
    """Rebuild the scored pool of a source from its turns and their stored scores.

    Args:
        warehouse: where the pool is.
        source: whose pool.
        aggregation: one of `core.evol_score.AGGREGATIONS`.

    Raises:
        NotFoundError: a measure was never computed for the source, or not yet for its newest turns.
    """
    with warehouse.read(f"scored pool of {source}: coverage") as con:
        covered = {measure: scored.coverage(con, source, measure) for measure in ("complexity", "quality")}
    table = ScoreTable(warehouse.home)
    results = {measure: table.results(measure, covered[measure].fingerprint) for measure in covered}
    with warehouse.write(f"scored pool of {source}: turns") as con:
        for measure, found in results.items():
            scored.replace_scored_turns(con, source, measure, covered[measure].fingerprint, found)
    with warehouse.read(f"scored pool of {source}: scores") as con:
        version, _ = pool.pool_version(con, source)
        turns = scored.turns_side_by_side(con, source)
    _refuse_uncovered(source, version, covered, turns)
    shared = {
        "source": source, "pool_version": version,
        "scorer_complexity": covered["complexity"].fingerprint, "scorer_quality": covered["quality"].fingerprint,
    }  # fmt: skip
    rows = [{**shared, **row} for row in _rows(turns, aggregation)]
    table_of_rows = pa.Table.from_pylist(rows, schema=_SCHEMA)
    with warehouse.write(f"scored pool of {source}") as con:
        _refuse_moved(source, version, pool.pool_version(con, source)[0])
        scored.replace_scored_pool(con, source, table_of_rows)
    return _summary(source, version, rows)


def _refuse_moved(source: str, read: str, now: str) -> None:
    """No connection stays open while rows are added up, so another ingest may have come in between."""
    if read != now:
        raise StoreError(
            f"source {source!r}: its pool went from {read} to {now} while its scores were added up.",
            cure=f"Materialise scored_pool for it again, or run `deita-assets curate --source {source}`.",
        )


def _refuse_uncovered(
    source: str, version: str, covered: Mapping[str, Coverage], turns: list[tuple[Any, ...]]
) -> None:
    """Refuse turns that are only not scored yet: called unscored, they would stay so in every ledger made of them."""
    for at, measure in ((5, "complexity"), (6, "quality")):
        missing = sum(turn[at] == "missing" for turn in turns)
        if missing and covered[measure].pool_version != version:
            raise NotFoundError(
                f"source {source!r}: {missing:,} turns have no {measure} score yet; the pool changed since.",
                cure=f"Materialise {measure}_scores for it, or run `deita-assets curate --source {source}`.",
            )


def _rows(turns: list[tuple[Any, ...]], aggregation: str) -> Iterator[dict[str, Any]]:
    for sample_id, group in groupby(turns, key=lambda turn: turn[0]):
        yield _row(str(sample_id), list(group), aggregation)


def _row(sample_id: str, turns: list[tuple[Any, ...]], aggregation: str) -> dict[str, Any]:
    complexity = [turn[3] for turn in turns]
    quality = [turn[4] for turn in turns]
    missing = next((reason for turn in turns if (reason := _missing(turn))), None)
    products = None if missing else [c * q for c, q in zip(complexity, quality, strict=True)]
    return {
        "sample_id": sample_id,
        "content_sha256": turns[0][1],
        "n_turns": len(turns),
        "complexity": _mean(complexity),
        "quality": _mean(quality),
        "evol_score": aggregate(products, aggregation) if products else None,
        "turn_products": products,
        "unscored_reason": missing,
    }


def _missing(turn: tuple[Any, ...]) -> str | None:
    """Why a turn lacks a score, such as `turn 2: quality empty_response`."""
    for measure, score, status in (("complexity", turn[3], turn[5]), ("quality", turn[4], turn[6])):
        if score is None or not isfinite(score):
            return f"turn {turn[2]}: {measure} {status}"
    return None


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fsum(known) / len(known) if known else None


def _summary(source: str, version: str, rows: list[dict[str, Any]]) -> ScoredPool:
    unscored = Counter(row["unscored_reason"].partition(": ")[2] for row in rows if row["unscored_reason"])
    digest = sha256_hex("\n".join(f"{row['sample_id']} {row['evol_score']!r}" for row in rows))
    shared = [rows[0]["scorer_complexity"], rows[0]["scorer_quality"]] if rows else []
    return ScoredPool(
        source, version, len(rows), sum(unscored.values()), dict(unscored),
        sha256_hex("\n".join([version, *shared, digest]))[:16],
        [row["evol_score"] for row in rows if row["evol_score"] is not None],
        [row["complexity"] for row in rows if row["complexity"] is not None],
        [row["quality"] for row in rows if row["quality"] is not None],
    )  # fmt: skip
