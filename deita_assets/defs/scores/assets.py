"""`complexity_scores[source]`, `quality_scores[source]` and `scored_pool[source]`.

What belongs here: the assets. What does not: scorers, and the loop that feeds them (engines.cover).
"""

from collections.abc import Sequence
from time import monotonic
from typing import Any

import dagster as dg

from deita_assets.core.fingerprint import short_digest
from deita_assets.defs.automation.staleness import CODE_VERSIONS
from deita_assets.defs.column_lineage import definition_metadata
from deita_assets.defs.descriptions import DESCRIPTIONS
from deita_assets.defs.instance import DEVICE_POOL
from deita_assets.defs.mending import take_out_refused
from deita_assets.defs.metadata import counts, finite, numbers, score_histogram
from deita_assets.defs.platform import Platform
from deita_assets.defs.pool.assets import raw_pool
from deita_assets.defs.steps import (
    BEFORE_EMBEDDINGS,
    MODEL_RETRY,
    OWNERS,
    asset_step,
    require_pool,
    run_model_child,
)
from deita_assets.engines.score_pool import score_pool
from deita_assets.partitions import sources


def covered_metadata(outcome: dict[str, Any]) -> dict[str, Any]:
    """Metadata of a model step out of its child's report."""
    return {
        "dagster/partition_row_count": outcome["n_wanted"],
        "computed": outcome["n_computed"],
        "reused": outcome["n_resumed"],
        "rows_per_second": round(outcome["n_computed"] / outcome["seconds"], 1)
        if outcome["n_computed"]
        else 0.0,
        "seconds": round(outcome["seconds"], 2),
        "statuses": counts(outcome["statuses"], "status of new results"),
        "fingerprint": outcome["fingerprint"],
    }


def _scores(
    context: dg.AssetExecutionContext, platform: Platform, pipes: dg.PipesSubprocessClient, measure: str
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    with asset_step(context, platform, f"{measure}_scores") as metadata:
        require_pool(platform, context.partition_key)
        take_out_refused(context, platform, f"{measure}_scores")
        outcome = run_model_child(context, platform, pipes, measure)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(short_digest([outcome["fingerprint"], outcome["keys_digest"]])),
            metadata={**covered_metadata(outcome), **metadata},
        )


@dg.asset(
    partitions_def=sources,
    deps=[raw_pool],
    group_name="scores",
    kinds={"lancedb", "python"},
    owners=OWNERS,
    description=DESCRIPTIONS["complexity_scores"],
    code_version=CODE_VERSIONS["complexity_scores"],
    op_tags=BEFORE_EMBEDDINGS,
    retry_policy=MODEL_RETRY,
    pool=DEVICE_POOL,
    metadata=definition_metadata("complexity_scores", "scores"),
)
def complexity_scores(
    context: dg.AssetExecutionContext, platform: Platform, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """How demanding the instruction of each turn is, 1 to 6; equal prompts are scored once."""
    return _scores(context, platform, pipes, "complexity")


@dg.asset(
    partitions_def=sources,
    deps=[raw_pool],
    group_name="scores",
    kinds={"lancedb", "python"},
    owners=OWNERS,
    description=DESCRIPTIONS["quality_scores"],
    code_version=CODE_VERSIONS["quality_scores"],
    op_tags=BEFORE_EMBEDDINGS,
    retry_policy=MODEL_RETRY,
    pool=DEVICE_POOL,
    metadata=definition_metadata("quality_scores", "scores"),
)
def quality_scores(
    context: dg.AssetExecutionContext, platform: Platform, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """How good the response of each turn is, 1 to 6; equal (instruction, response) pairs are scored once."""
    return _scores(context, platform, pipes, "quality")


@dg.asset(
    partitions_def=sources,
    deps=[raw_pool, complexity_scores, quality_scores],
    group_name="scores",
    kinds={"duckdb"},
    owners=OWNERS,
    description=DESCRIPTIONS["scored_pool"],
    code_version=CODE_VERSIONS["scored_pool"],
    metadata=definition_metadata("scored_pool", "scored_pool"),
)
def scored_pool(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """One row per conversation with its evol_score: complexity x quality per turn, aggregated over turns."""
    source = context.partition_key
    with asset_step(context, platform, "scored_pool") as metadata:
        began = monotonic()
        done = score_pool(platform.warehouse, source, platform.settings.source(source).aggregation)
        seconds = max(monotonic() - began, 1e-6)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(done.version),
            metadata={
                "dagster/partition_row_count": done.n_rows,
                "unscored": done.n_unscored,
                "unscored_reasons": counts(done.unscored_reasons, "reason"),
                "evol_score": score_histogram(done.evol_scores, "evol_score"),
                "complexity": score_histogram(done.complexity, "complexity"),
                "quality": score_histogram(done.quality, "quality"),
                **numbers(
                    mean_evol_score=_mean(done.evol_scores),
                    mean_complexity=_mean(done.complexity),
                    mean_quality=_mean(done.quality),
                    seconds=seconds,
                    rows_per_second=done.n_rows / seconds,
                ),
                "pool_version": done.pool_version,
                **metadata,
            },
        )


def _mean(values: Sequence[float]) -> float | None:
    known = finite(values)
    return float(known.mean()) if len(known) else None
