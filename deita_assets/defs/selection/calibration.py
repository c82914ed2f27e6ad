"""`threshold_calibration[source]` and `pooled_calibration[mixture]`: what other thresholds would keep, on demand.

Nothing depends on them and no sensor runs them: a threshold is a person's choice.

What belongs here: the two assets. What does not: calibrating (engines.calibrate).
"""

from typing import Any

import dagster as dg
from pydantic import Field

from deita_assets.core.calibration import Calibration, Pair, side_by_side
from deita_assets.defs.automation.staleness import CODE_VERSIONS
from deita_assets.defs.column_lineage import definition_metadata
from deita_assets.defs.descriptions import DESCRIPTIONS
from deita_assets.defs.embeddings.assets import embeddings
from deita_assets.defs.metadata import numbers, picture, table, text_table
from deita_assets.defs.platform import Platform
from deita_assets.defs.progress import pass_progress
from deita_assets.defs.run_config import require
from deita_assets.defs.scores.assets import scored_pool
from deita_assets.defs.selection.ledgers import parameters_of, scope_of
from deita_assets.defs.steps import OWNERS, asset_step
from deita_assets.embedders import default_threshold
from deita_assets.engines.calibrate import ROWS, calibrate, pair_texts
from deita_assets.engines.plots import threshold_plot
from deita_assets.partitions import mixtures, sources

#: Characters shown of each row of a pair.
_SHOWN = 160


class CalibrationConfig(dg.Config):
    """Launchpad settings of a calibration."""

    rows: int = Field(default=ROWS, description=f"Rows to compare, best first; 2 or more. Default: {ROWS}.")


def _calibration(
    context: dg.AssetExecutionContext, platform: Platform, config: CalibrationConfig, asset: str, kind: str
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    with asset_step(context, platform, asset) as metadata:
        require(config.rows >= 2, "rows", config.rows, "2 or more")
        scope = scope_of(platform, context.instance, kind, context.partition_key)
        with pass_progress(context, f"{scope.name} {asset}", config.rows) as on_progress:
            done = calibrate(
                platform.warehouse, scope, parameters_of(platform, scope),
                default=default_threshold(platform.settings.embedder.name), rows=config.rows,
                on_progress=on_progress,
            )  # fmt: skip
        return dg.MaterializeResult(
            data_version=dg.DataVersion(done.calibration_id),
            metadata={**_metadata(platform, done), **metadata},
        )


def _metadata(platform: Platform, done: Calibration) -> dict[str, Any]:
    plot = threshold_plot(
        [point.threshold for point in done.curve], [point.kept for point in done.curve],
        visited=done.visited, current=done.threshold, recommended=done.recommendation.threshold,
    )  # fmt: skip
    now, best = done.threshold, done.recommendation.threshold
    caption = f"of {done.visited:,} rows; {now:g} is the present threshold" + (
        f", {best:g} the recommended one" if best != now else " and the recommended one"
    )
    return {
        "dagster/partition_row_count": done.visited,
        "threshold": now,
        "recommended_threshold": best,
        "reason": done.recommendation.reason,
        **numbers(drop_share=done.dropped_share),
        "plot": picture(plot, f"rows kept at each similarity threshold, of {done.visited:,}", caption),
        "curve": table(
            ["threshold", "kept", "dropped"],
            [(f"{p.threshold:g}", f"{p.kept:,}", f"{p.dropped_share:.1%}") for p in done.curve],
        ),
        "nearest_neighbour_similarity": table(
            ["percentile", "similarity"], [(f"{p} %", f"{s:.4f}") for p, s in done.percentiles]
        ),
        "bands": table(
            ["similarity", "rows", "pairs read", "share half of their words"],
            [
                (
                    f"{b.low:g} to {b.high:g}",
                    f"{b.rows:,}",
                    b.pairs,
                    "-" if b.alike is None else f"{b.alike:.0%}",
                )
                for b in done.bands
            ],
        ),
        **_pairs(platform, done),
        "selectable": done.selectable,
        "calibration_id": done.calibration_id,
    }


def _pairs(platform: Platform, done: Calibration) -> dict[str, Any]:
    """The pairs on either side of the threshold; without their words where those are not to be shown."""
    texts = pair_texts(platform.warehouse, done) if platform.settings.sample_rows_in_ui else {}

    def row(pair: Pair) -> tuple[str, str, str]:
        shown = (pair.sample_id, pair.nearest)
        if pair.sample_id in texts and pair.nearest in texts:
            shown = side_by_side(texts[pair.sample_id], texts[pair.nearest], _SHOWN)
        return f"{pair.similarity:.4f}", *shown

    header = ["similarity", "row", "nearest row kept before it"]
    return {
        "pairs_below_threshold": text_table([header[0], "kept row", header[2]], map(row, done.below)),
        "pairs_above_threshold": text_table([header[0], "dropped row", header[2]], map(row, done.above)),
    }


@dg.asset(
    partitions_def=sources,
    deps=[scored_pool, embeddings],
    group_name="selection",
    kinds={"duckdb", "numpy"},
    owners=OWNERS,
    description=DESCRIPTIONS["threshold_calibration"],
    code_version=CODE_VERSIONS["threshold_calibration"],
    metadata=definition_metadata("threshold_calibration"),
)
def threshold_calibration(
    context: dg.AssetExecutionContext, config: CalibrationConfig, platform: Platform
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """On demand: rows kept of one source at each threshold, pairs near its own, and the threshold they speak for."""
    return _calibration(context, platform, config, "threshold_calibration", "source")


@dg.asset(
    partitions_def=mixtures,
    deps=[  # as for pooled_ledger: without the mapping Dagster infers no upstream partition
        dg.AssetDep(scored_pool, partition_mapping=dg.AllPartitionMapping()),
        dg.AssetDep(embeddings, partition_mapping=dg.AllPartitionMapping()),
    ],
    group_name="selection",
    kinds={"duckdb", "numpy"},
    owners=OWNERS,
    description=DESCRIPTIONS["pooled_calibration"],
    code_version=CODE_VERSIONS["pooled_calibration"],
    metadata=definition_metadata("pooled_calibration"),
)
def pooled_calibration(
    context: dg.AssetExecutionContext, config: CalibrationConfig, platform: Platform
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """On demand: rows kept of a mixture at each threshold, pairs near its own, and the threshold they speak for."""
    return _calibration(context, platform, config, "pooled_calibration", "mixture")
