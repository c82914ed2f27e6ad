"""`serving_catalog`: the published copy that people, BI tools and the CLI read.

What belongs here: the asset. What does not: how the copy is made (stores.serving).
"""

import dagster as dg

from deita_assets.defs.automation.staleness import CODE_VERSIONS
from deita_assets.defs.metadata import table
from deita_assets.defs.platform import Platform
from deita_assets.defs.selection.subsets import pooled_subset, selected_subset
from deita_assets.defs.steps import OWNERS, asset_step
from deita_assets.stores.serving import open_serving, publish

PUBLIC_VIEWS = (
    "pool",
    "turns",
    "scores",
    "scored_pool",
    "ledger",
    "selections",
    "selected",
    "lineage",
    "quarantine",
)


@dg.asset(
    deps=[selected_subset, pooled_subset],
    group_name="serving",
    kinds={"duckdb"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["serving_catalog"],
    metadata={"dagster/table_name": "serving.duckdb"},
)
def serving_catalog(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """`serving.duckdb`: open it with any DuckDB client, also while runs write."""
    with asset_step(context, platform, "serving_catalog"):
        platform.warehouse  # noqa: B018 - brings the schema up to date before it is copied
        published = publish(platform.home)
        with open_serving(platform.home) as con:
            rows = [(view, con.table(view).count("*").fetchall()[0][0]) for view in PUBLIC_VIEWS]
        return dg.MaterializeResult(
            metadata={
                "changed": published.changed,
                "bytes": published.n_bytes,
                "path": dg.MetadataValue.path(str(platform.home.serving)),
                "views": table(["view", "rows"], [(view, f"{count:,}") for view, count in rows]),
            }
        )
