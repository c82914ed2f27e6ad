"""`store_upkeep`: what `deita-assets compact` does, for the UI and for schedules of one's own.

What belongs here: the asset. What does not: the upkeep (engines.compact).
"""

import dagster as dg
from pydantic import Field

from deita_assets.defs.automation.staleness import CODE_VERSIONS
from deita_assets.defs.descriptions import DESCRIPTIONS
from deita_assets.defs.metadata import table
from deita_assets.defs.platform import Platform
from deita_assets.defs.run_config import require
from deita_assets.defs.steps import OWNERS, asset_step
from deita_assets.engines.compact import KEEP_HOURS, LEAST_HOURS, compact_home


class UpkeepConfig(dg.Config):
    """Run settings of an upkeep."""

    keep_hours: float = Field(
        default=KEEP_HOURS,
        description=f"Editions of a table that were current within so many hours stay; {LEAST_HOURS:g} or more. "
        f"Default: {KEEP_HOURS:g}.",
    )


@dg.asset(
    group_name="serving",
    kinds={"lancedb", "duckdb"},
    owners=OWNERS,
    description=DESCRIPTIONS["store_upkeep"],
    code_version=CODE_VERSIONS["store_upkeep"],
)
def store_upkeep(
    context: dg.AssetExecutionContext, config: UpkeepConfig, platform: Platform
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Small fragments of the score and embedding tables merged, old editions dropped, leftovers removed.

    Run it by hand or on a schedule of your own, once a week at most; nothing depends on it.
    """
    with asset_step(context, platform, "store_upkeep"):
        kept = config.keep_hours
        require(LEAST_HOURS <= kept < float("inf"), "keep_hours", kept, f"{LEAST_HOURS:g} or more")
        done = compact_home(platform.warehouse, keep_hours=config.keep_hours)
        rows = [
            (
                one.name,
                *(f"{getattr(one.before, name):,} -> {getattr(one.after, name):,}" for name in _SHOWN),
            )
            for one in done.tables
        ]
        return dg.MaterializeResult(
            metadata={
                "tables": table(["table", "fragments", "editions", "bytes"], rows),
                "bytes_before": sum(one.before.n_bytes for one in done.tables),
                "bytes_after": sum((one.after or one.before).n_bytes for one in done.tables),
                "leftovers": len(done.leftovers),
                "warehouse_bytes": done.warehouse_after.n_bytes if done.warehouse_after else 0,
            }
        )


_SHOWN = ("n_fragments", "n_versions", "n_bytes")
