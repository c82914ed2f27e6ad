"""The jobs that automation starts: assets of one kind of partition each, because a job can hold no more.

A request names the assets of its job that are stale; started by hand in the UI, a job makes all of them.

What belongs here: jobs. What does not: when they run (sensors, nightly).
"""

import dagster as dg

from deita_assets.defs.automation.staleness import SOURCE_ASSETS

source_job = dg.define_asset_job(
    "curate_source",
    selection=list(SOURCE_ASSETS),
    description="Ingest, score, embed and rank one source.",
)
source_subset_job = dg.define_asset_job(
    "select_from_source", selection=["selected_subset"], description="Cut one subset of a source."
)
mixture_job = dg.define_asset_job(
    "rank_mixture", selection=["pooled_ledger"], description="Rank the union of a mixture's sources."
)
mixture_subset_job = dg.define_asset_job(
    "select_from_mixture", selection=["pooled_subset"], description="Cut one subset of a mixture."
)
catalog_job = dg.define_asset_job(
    "publish_catalog", selection=["serving_catalog"], description="Publish what people query."
)
JOBS = (source_job, source_subset_job, mixture_job, mixture_subset_job, catalog_job)

#: Job -> its assets.
JOB_ASSETS = {
    source_job.name: frozenset(SOURCE_ASSETS),
    source_subset_job.name: frozenset({"selected_subset"}),
    mixture_job.name: frozenset({"pooled_ledger"}),
    mixture_subset_job.name: frozenset({"pooled_subset"}),
    catalog_job.name: frozenset({"serving_catalog"}),
}


def job_of(asset: str) -> str:
    """Name of the job that makes an asset."""
    return next(name for name, assets in JOB_ASSETS.items() if asset in assets)
