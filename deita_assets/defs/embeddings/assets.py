"""`embeddings[source]`: whole conversations as unit vectors in LanceDB.

What belongs here: the asset. What does not: embedders, and the loop that feeds them (engines.cover).
"""

import dagster as dg

from deita_assets.core.fingerprint import short_digest
from deita_assets.defs.automation.staleness import CODE_VERSIONS
from deita_assets.defs.column_lineage import definition_metadata
from deita_assets.defs.descriptions import DESCRIPTIONS
from deita_assets.defs.instance import DEVICE_POOL
from deita_assets.defs.mending import take_out_refused
from deita_assets.defs.platform import Platform
from deita_assets.defs.pool.assets import raw_pool
from deita_assets.defs.scores.assets import covered_metadata
from deita_assets.defs.steps import (
    MODEL_RETRY,
    OWNERS,
    asset_step,
    require_pool,
    run_model_child,
)
from deita_assets.partitions import sources


@dg.asset(
    partitions_def=sources,
    deps=[raw_pool],
    group_name="embeddings",
    kinds={"lancedb", "pytorch"},
    owners=OWNERS,
    description=DESCRIPTIONS["embeddings"],
    code_version=CODE_VERSIONS["embeddings"],
    retry_policy=MODEL_RETRY,
    pool=DEVICE_POOL,
    metadata=definition_metadata("embeddings"),
)
def embeddings(
    context: dg.AssetExecutionContext, platform: Platform, pipes: dg.PipesSubprocessClient
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """A unit vector for every conversation of one source, stored once per content and embedder."""
    with asset_step(context, platform, "embeddings") as metadata:
        require_pool(platform, context.partition_key)
        take_out_refused(context, platform, "embeddings")
        outcome = run_model_child(context, platform, pipes, "embedding")
        return dg.MaterializeResult(
            data_version=dg.DataVersion(short_digest([outcome["fingerprint"], outcome["keys_digest"]])),
            metadata={
                **covered_metadata(outcome),
                "dagster/table_name": f"embeddings_{outcome['fingerprint'][:8]}",
                **metadata,
            },
        )
