"""`serving_catalog`: the published copy that people, BI tools and the CLI read.

What belongs here: the asset. What does not: how the copy is made (stores.serving).
"""

import datetime as dt
from typing import TYPE_CHECKING

import dagster as dg

from deita_assets.defs.automation.staleness import CODE_VERSIONS
from deita_assets.defs.column_lineage import LINEAGE, SCHEMA, Column, catalog_columns, lineage, schema
from deita_assets.defs.descriptions import DESCRIPTIONS
from deita_assets.defs.metadata import table
from deita_assets.defs.platform import Platform
from deita_assets.defs.selection.subsets import pooled_subset, selected_subset
from deita_assets.defs.steps import OWNERS, asset_step
from deita_assets.stores.serving import open_serving, publish

if TYPE_CHECKING:
    import duckdb

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
#: Views whose rows are worth a plot over time.
_PLOTTED = ("pool", "scores", "scored_pool", "selections", "quarantine")


def _columns(con: "duckdb.DuckDBPyConnection") -> tuple[Column, ...]:
    """Columns of the public views as the catalog has them."""
    rows = con.execute(
        "select table_name, column_name, data_type, comment from duckdb_columns() where schema_name = 'main' "
        "and list_contains(?, table_name) order by list_position(?, table_name), column_index",
        [PUBLIC_VIEWS, PUBLIC_VIEWS],
    ).fetchall()
    return catalog_columns(rows)


#: `nightly_catalog` publishes every night, whatever changed, so an older catalog means that automation stands
#: still. A machine that was off over a weekend warns until it has caught up. Every other asset is made again only
#: when what it reads changed: its age says nothing, and Dagster would judge all its partitions by the newest one.
FRESHNESS = dg.FreshnessPolicy.time_window(
    fail_window=dt.timedelta(days=8), warn_window=dt.timedelta(hours=36)
)


@dg.asset(
    deps=[selected_subset, pooled_subset],
    group_name="serving",
    kinds={"duckdb"},
    owners=OWNERS,
    description=DESCRIPTIONS["serving_catalog"],
    code_version=CODE_VERSIONS["serving_catalog"],
    freshness_policy=FRESHNESS,
    metadata={"dagster/table_name": "serving.duckdb"},
)
def serving_catalog(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """`serving.duckdb`: open it with any DuckDB client, also while runs write."""
    with asset_step(context, platform, "serving_catalog"):
        platform.warehouse  # noqa: B018 - brings the schema up to date before it is copied
        published = publish(platform.home)
        with open_serving(platform.home) as con:
            rows = [(view, con.table(view).count("*").fetchall()[0][0]) for view in PUBLIC_VIEWS]
            columns = _columns(con)
        return dg.MaterializeResult(
            metadata={
                "views": table(["view", "rows"], [(view, f"{count:,}") for view, count in rows]),
                **{f"rows_of_{view}": count for view, count in rows if view in _PLOTTED},
                "path": dg.MetadataValue.path(str(platform.home.serving)),
                "dagster/uri": platform.home.serving.resolve().as_uri(),
                "bytes": published.n_bytes,
                "changed": published.changed,
                SCHEMA: schema(columns),
                LINEAGE: lineage(columns),
            }
        )
