"""`raw_pool[source]`: what stands in `landing/<source>/`, as rows.

What belongs here: the asset. What does not: parsing and transactions (engines.ingest).
"""

from collections.abc import Sequence
from time import monotonic
from typing import Any

import dagster as dg
from pydantic import Field

from deita_assets.core.formats import FORMATS, FieldMap
from deita_assets.core.formats.field_map import QUESTIONS
from deita_assets.core.hub_names import parse_hub_id
from deita_assets.core.reasons import REASONS
from deita_assets.defs.automation.staleness import CODE_VERSIONS, INPUTS, LICENCE
from deita_assets.defs.column_lineage import definition_metadata
from deita_assets.defs.descriptions import DESCRIPTIONS
from deita_assets.defs.metadata import numbers, text_table
from deita_assets.defs.platform import Platform
from deita_assets.defs.progress import bytes_progress
from deita_assets.defs.run_config import require
from deita_assets.defs.steps import OWNERS, asset_step, staleness
from deita_assets.engines.hub import fetch, hub_of, let_go
from deita_assets.engines.ingest import SourceReading, ingest_source
from deita_assets.partitions import sources
from deita_assets.stores import pool_facts
from deita_assets.stores.pool import known_source
from deita_assets.stores.pool_facts import QuarantinedReason

#: Rows in quarantine that are named for each reason.
_EXAMPLES = 3


class IngestConfig(dg.Config):
    """Launchpad settings of an ingest. Leave all as they are to read the files as settings and earlier ingests say."""

    format: str | None = Field(
        default=None,
        description=f"Format of the rows: {', '.join(FORMATS)}, or {QUESTIONS} for exclusion sets. "
        "Default: as in the settings, else as recorded, else recognised.",
    )
    field_map: dict[str, str] = Field(
        default={},
        description="Names of fields in the files by our names for them, such as instruction: question. "
        "Default: as in the settings, else as recorded, else the usual names.",
    )
    licence: str | None = Field(
        default=None,
        description="Licence of the source, such as CC-BY-4.0. Default: as in the settings, else as recorded.",
    )
    accept_removals: bool = Field(
        default=False,
        description="Let rows go whose files left landing, also when they are more than 20 % of the source. "
        "Default: false.",
    )
    by_hand: list[str] = Field(
        default=[],
        description="Files, by their path inside the source's landing folder, that were replaced or withdrawn on "
        "purpose, however many rows go with them. Default: none.",
    )

    def check(self, source: str) -> None:
        """Refuse what no ingest could use.

        Raises:
            UsageError: an unknown format or field, or an empty licence.
        """
        FieldMap.of(self.field_map).check_format(self.format or "auto")
        named = self.licence is None or self.licence.strip() != ""
        require(named, "licence", self.licence, "a licence", f"Leave it out, or name that of {source}.")


@dg.asset(
    partitions_def=sources,
    group_name="pool",
    kinds={"duckdb"},
    owners=OWNERS,
    description=DESCRIPTIONS["raw_pool"],
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
        config.check(source)
        settings = platform.settings
        chosen = settings.source(source)
        if chosen.hub:
            fetch(platform.home, source, parse_hub_id(chosen.hub), say=context.log.info)
            # By the settings that are acted on: those written during a download of minutes make it stale again.
            metadata[INPUTS] = staleness(context.instance, platform, settings).inputs("raw_pool", source)
        reading = SourceReading(
            format=config.format or chosen.format,
            field_map=config.field_map or chosen.field_map,
            licence=config.licence or chosen.licence,
            accept_removals=config.accept_removals,
            by_hand=frozenset(config.by_hand),
            let_go=let_go(platform.home, source),
            answers_required=source not in settings.exclusion_sources,
            malformed_allowed=settings.malformed_allowed(source),
        )
        began = monotonic()
        with bytes_progress(context, f"{source} files") as on_bytes:
            report = ingest_source(
                platform.warehouse, source, reading, run_id=context.run_id, on_bytes=on_bytes
            )
        seconds = max(monotonic() - began, 1e-6)
        if report.n_withheld:
            context.log.warning(
                f"{source}: {report.n_withheld:,} rows would leave the pool at once, more than 20 %. They were kept. "
                f"Run `deita-assets add --accept-removals {source}` if this is meant."
            )
        with platform.warehouse.read(f"page of {source}") as con:
            _, _, licence = known_source(con, source)
            parsed = pool_facts.rows_parsed(con, source, report.seq) if report.changed else 0
            turns, chars = pool_facts.mean_size(con, source)
            quarantine = pool_facts.quarantined(con, source, _EXAMPLES)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(report.pool_version),
            metadata={
                "dagster/partition_row_count": report.n_pool,
                "new_rows": report.n_new,
                "withdrawn": report.n_withdrawn,
                "withheld": report.n_withheld,
                "rows_read": report.n_read,
                "exact_duplicates": report.n_exact_duplicates,
                "quarantined": report.n_quarantined,
                "taken_down": report.n_taken,
                "quarantine": _quarantine(quarantine),
                **numbers(
                    seconds=seconds,
                    rows_per_second=parsed / seconds if parsed else None,
                    mean_turns=turns,
                    mean_characters=chars,
                ),
                "format": report.format or "not recognised",
                LICENCE: licence or "unknown",
                **({"hub": hub} if (hub := hub_of(platform.home, source)) else {}),
                "landing": dg.MetadataValue.path(str(platform.home.source_landing(source))),
                "pool_version": report.pool_version,
                **metadata,
            },
        )


def _quarantine(reasons: Sequence[QuarantinedReason]) -> dg.MetadataValue[Any]:
    """Reasons with the places of some rows, so that they can be mended; no words of any row."""
    if not reasons:
        return dg.MetadataValue.md("none")
    rows = [
        (
            one.reason,
            f"{one.rows:,}",
            ", ".join(f"{file}:{line}" for file, line in one.examples)
            + (" ..." if one.rows > _EXAMPLES else ""),
            REASONS[one.reason].cure if one.reason in REASONS else "",
        )
        for one in reasons
    ]
    return text_table(["reason", "rows", "file and line", "what to do"], rows)
