"""Checks of `complexity_scores` and `quality_scores`: the stored results, seen from the turns of one pool.

Texts stay in DuckDB, which gives their lengths; of LanceDB the results of one measure and scorer are read, once.

What belongs here: reading. What does not: the rules (core.checks.score_rules).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from deita_assets.core.checks import score_rules
from deita_assets.core.checks.finding import Finding
from deita_assets.core.checks.score_rules import TurnScores
from deita_assets.scorers.base import SCORED
from deita_assets.stores import scored
from deita_assets.stores.sql import first, statement
from deita_assets.stores.vectors import ScoreTable
from deita_assets.stores.warehouse import Warehouse

if TYPE_CHECKING:
    import duckdb

_RULES = (
    score_rules.unique_keys,
    score_rules.finite_scores,
    score_rules.missing_pairs,
    score_rules.status_share,
    score_rules.constant_scores,
    score_rules.length_correlation,
)


def check_scores(warehouse: Warehouse, source: str, measure: str) -> list[Finding]:
    """Findings about the scores of one measure for the pool of one source.

    Raises:
        NotFoundError: the measure was never computed for the source.
    """
    found = read_scores(warehouse, source, measure)
    return [rule(found) for rule in _RULES]


def read_scores(warehouse: Warehouse, source: str, measure: str) -> TurnScores:
    """What `check_scores` judges."""
    with warehouse.read(f"checks of {measure} of {source}: coverage") as con:
        covered = scored.coverage(con, source, measure)
    results = ScoreTable(warehouse.home).results(measure, covered.fingerprint)
    with warehouse.read(f"checks of {measure} of {source}") as con:
        _join(con, source, measure, results)
        n_stored, n_keys, doubled = first(con.execute(statement("checks/result_copies"))) or (0, 0, ())
        n_turns, n_lacking, n_out_of_range, n_unwarranted = _counts(con)
        examples = _examples(con)
        prompts = con.sql(statement("checks/prompt_scores")).to_arrow_table()
        attempts = {"source": source, "step": measure, "fingerprint": covered.fingerprint}
        return TurnScores(
            measure, source, n_stored, n_keys, n_turns,
            statuses=_pairs(con, "turn_statuses"),
            scores=prompts["score"].to_numpy(), lengths=prompts["n_chars"].to_numpy(),
            doubled=tuple(doubled),
            lacking=examples.get("lacking", ()), n_lacking=n_lacking,
            out_of_range=examples.get("out_of_range", ()), n_out_of_range=n_out_of_range,
            unwarranted=examples.get("unwarranted", ()), n_unwarranted=n_unwarranted,
            attempts=_pairs(con, "attempts", attempts),
        )  # fmt: skip


def bad_prompts(warehouse: Warehouse, source: str, measure: str, results: Any) -> list[str]:
    """Prompts of the pool of one source that have several results, or one that is not what its status says, in order.

    Args:
        warehouse: where the pool is.
        source: whose pool.
        measure: `complexity` or `quality`.
        results: (prompt_sha256, score, status) as Arrow table.
    """
    with warehouse.read(f"checks of {measure} of {source}: prompts") as con:
        _join(con, source, measure, results)
        rows = con.execute(statement("checks/bad_prompts")).fetchall()
    return [str(key) for (key,) in rows]


def _join(con: duckdb.DuckDBPyConnection, source: str, measure: str, results: Any) -> None:
    """Make `checked_turn` and `checked_result` on this connection."""
    con.execute(statement(f"checks/turns_{measure}"), {"source": source})
    con.register("results_now", results)
    con.execute(statement("checks/turn_results"), {"scored": sorted(SCORED)})
    con.unregister("results_now")


def _counts(con: duckdb.DuckDBPyConnection) -> tuple[Any, ...]:
    return first(con.execute(statement("checks/turn_counts"))) or ()


def _pairs(
    con: duckdb.DuckDBPyConnection, name: str, parameters: dict[str, Any] | None = None
) -> dict[str, int]:
    return dict(con.execute(statement(f"checks/{name}"), parameters or {}).fetchall())


def _examples(con: duckdb.DuckDBPyConnection) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for fault, sample_id in con.execute(statement("checks/turn_examples")).fetchall():
        found.setdefault(fault, []).append(sample_id)
    return {fault: tuple(ids) for fault, ids in found.items()}
