"""`raw_pool[source]`: what stands in `landing/<source>/`, as rows.

What belongs here: the asset. What does not: parsing and transactions (engines.ingest).
"""

import dagster as dg

from deita_assets.defs.automation.staleness import CODE_VERSIONS, LICENCE
from deita_assets.defs.column_lineage import definition_metadata
from deita_assets.defs.metadata import counts
from deita_assets.defs.platform import Platform
from deita_assets.defs.steps import OWNERS, asset_step
from deita_assets.engines.ingest import SourceReading, ingest_source
from deita_assets.partitions import sources
from deita_assets.stores.pool import known_source


class IngestConfig(dg.Config):
    """Run settings of an ingest; the defaults repeat what was recorded.

    `by_hand`: files that were replaced or withdrawn on purpose, however many rows go with them.
    """

    format: str | None = None
    field_map: dict[str, str] = {}
    licence: str | None = None
    accept_removals: bool = False
    by_hand: list[str] = []


@dg.asset(
    partitions_def=sources,
    group_name="pool",
    kinds={"duckdb"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["raw_pool"],
    metadata=definition_metadata("raw_pool", "pool"),
)
def raw_pool(
    context: dg.AssetExecutionContext, config: IngestConfig, platform: Platform
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The conversations of one source, read from its landing folder, deduplicated by content.

    Rows that cannot be read go to quarantine with file, line and reason:
    rows read = in pool + exact duplicates + quarantined (+ taken down).
    """
    source = context.partition_key
    with asset_step(context, platform, "raw_pool") as metadata:
        chosen = platform.settings.source(source)
        reading = SourceReading(
            format=config.format or chosen.format,
            field_map=config.field_map or chosen.field_map,
            licence=config.licence or chosen.licence,
            accept_removals=config.accept_removals,
            by_hand=frozenset(config.by_hand),
            answers_required=source not in platform.settings.exclusion_sources,
        )
        report = ingest_source(platform.warehouse, source, reading, run_id=context.run_id)
        if report.n_withheld:
            context.log.warning(
                f"{source}: {report.n_withheld:,} rows would leave the pool at once, more than 20 %. They were kept. "
                f"Run `deita-assets add --accept-removals {source}` if this is meant."
            )
        with platform.warehouse.read(f"licence of {source}") as con:
            _, _, licence = known_source(con, source)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(report.pool_version),
            metadata={
                **metadata,
                "dagster/partition_row_count": report.n_pool,
                "format": report.format or "not recognised",
                LICENCE: licence or "unknown",
                "rows_read": report.n_read,
                "exact_duplicates": report.n_exact_duplicates,
                "quarantined": report.n_quarantined,
                "taken_down": report.n_taken,
                "quarantine": counts(report.quarantine_reasons, "reason"),
                "new_rows": report.n_new,
                "withdrawn": report.n_withdrawn,
                "withheld": report.n_withheld,
                "pool_version": report.pool_version,
            },
        )
