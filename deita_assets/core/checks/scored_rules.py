"""Rules about a source's scored pool: that it says what LanceDB says, for every row, and that its sums are right.

What belongs here: the rules of `scored_pool`. What does not: making it (engines.score_pool).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from deita_assets.core.aggregations import AGGREGATIONS
from deita_assets.core.checks.finding import Finding, curate, few, rows
from deita_assets.core.evol_score import aggregate, turn_products


@dataclass(frozen=True)
class Mirror:
    """The mirror of scores in DuckDB beside their truth in LanceDB, for one source.

    Attributes:
        source: whose scored pool.
        pool_version: that the scored pool is of; None where it has no row.
        pool_version_now: of the pool.
        n_scored: rows of the scored pool.
        n_pool: rows of the pool.
        n_results: (turn, measure) pairs that LanceDB has a result for.
        n_mirrored: such pairs in the mirror.
        n_different: pairs of which only one side has a result, or whose score or status differs.
        different: sample ids of these.
        unlike: sample ids that are in one of pool and scored pool only, or twice in the latter.
    """

    source: str
    pool_version: str | None
    pool_version_now: str
    n_scored: int
    n_pool: int
    n_results: int
    n_mirrored: int
    n_different: int
    different: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()

    @property
    def outdated(self) -> bool:
        """True when the pool moved on since: what can be compared is less then, and nothing of it is a fault."""
        return self.pool_version not in (None, self.pool_version_now)


def stores_agree(found: Mirror) -> Finding:
    """The scored pool has a row for each row of the pool, and every score as LanceDB has it, bit for bit."""
    wrong = [
        f"{rows(found.n_different, 'different score')}" if found.n_different else "",
        f"{rows(found.n_scored)} for {rows(found.n_pool)} of the pool"
        if not found.outdated and (found.unlike or found.n_scored != found.n_pool)
        else "",
    ]
    said = "; ".join(part for part in wrong if part)
    told = f"{found.source}: {rows(found.n_scored)}, {rows(found.n_mirrored, 'score')} as in LanceDB"
    if found.outdated:
        told += f"; the pool is at {found.pool_version_now} now, this is of {found.pool_version}"
    return Finding(
        "stores_agree", not said,
        f"{told}." if not said else f"{found.source}: DuckDB and LanceDB disagree: {said}.",
        f"{curate('source', found.source)} mirrors the scores again, and adds them up." if said else "",
        grave=True,
        numbers={
            "rows": found.n_scored, "pool_rows": found.n_pool, "results": found.n_results,
            "mirrored": found.n_mirrored, "different": found.n_different,
        },
        examples=few((*found.different, *found.unlike)),
    )  # fmt: skip


@dataclass(frozen=True)
class ScoredRow:
    """One row of a scored pool, with the scores of its turns in order."""

    sample_id: str
    evol_score: float | None
    products: Sequence[float] | None
    complexity: Sequence[float | None]
    quality: Sequence[float | None]


def evol_scores(source: str, sample: Sequence[ScoredRow], aggregation: str) -> Finding:
    """Recompute evol_score of a sample of rows from the scores of their turns, bit for bit.

    Rows that all fit another aggregation were made before the setting changed: outdated, not wrong.

    Args:
        source: whose scored pool.
        sample: rows of it.
        aggregation: as settings have it now.
    """
    wrong = _misfits(sample, aggregation)
    other = ""
    if wrong:
        other = next((how for how in AGGREGATIONS if not _misfits(sample, how)), "")
    passed = not wrong or bool(other)
    told = f"{source}: evol_score of {rows(len(sample))} recomputed with aggregation {other or aggregation}"
    if other:
        told += f" (settings say {aggregation} now)"
    return Finding(
        "evol_scores", passed,
        f"{told}: all equal." if passed else f"{told}: {len(wrong):,} different.",
        "" if passed else f"{curate('source', source)} adds them up again.",
        grave=True,
        numbers={"recomputed": len(sample), "different": 0 if passed else len(wrong)},
        examples=() if passed else few(wrong),
    )  # fmt: skip


def _misfits(sample: Sequence[ScoredRow], aggregation: str) -> list[str]:
    return [row.sample_id for row in sample if not _fits(row, aggregation)]


def _fits(row: ScoredRow, aggregation: str) -> bool:
    known = [
        (c, q) for c, q in zip(row.complexity, row.quality, strict=True) if c is not None and q is not None
    ]
    whole = bool(row.complexity) and len(known) == len(row.complexity)
    if not whole or not all(isfinite(value) for pair in known for value in pair):
        return row.evol_score is None and row.products is None
    products = turn_products([c for c, _ in known], [q for _, q in known])
    return (
        row.products is not None
        and list(row.products) == products
        and row.evol_score == aggregate(products, aggregation)
    )
