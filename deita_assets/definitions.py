"""The Dagster definitions: the one module that `workspace.yaml` names.

What belongs here: putting the graph together. What does not: any asset; those are in `defs`, in journey order.
"""

from __future__ import annotations

import dagster as dg

from deita_assets.defs.automation.alert_sensors import check_failure_alerts, run_failure_alerts
from deita_assets.defs.automation.dead_runs import dead_run_sensor
from deita_assets.defs.automation.jobs import JOBS
from deita_assets.defs.automation.nightly import nightly_recuration
from deita_assets.defs.automation.sensors import landing_sensor, recuration_sensor
from deita_assets.defs.checks import ASSET_CHECKS
from deita_assets.defs.embeddings.assets import embeddings
from deita_assets.defs.platform import Platform
from deita_assets.defs.pool.assets import raw_pool
from deita_assets.defs.scorer_training.assets import (
    distilled_scorer,
    graded_features,
    graded_set,
    scorer_evaluation,
)
from deita_assets.defs.scores.assets import complexity_scores, quality_scores, scored_pool
from deita_assets.defs.selection.calibration import pooled_calibration, threshold_calibration
from deita_assets.defs.selection.ledgers import pooled_ledger, selection_ledger
from deita_assets.defs.selection.subsets import pooled_subset, selected_subset
from deita_assets.defs.serving.assets import serving_catalog
from deita_assets.defs.serving.nightly import nightly_catalog
from deita_assets.defs.serving.upkeep import store_upkeep

ASSETS = (
    raw_pool,
    complexity_scores,
    quality_scores,
    scored_pool,
    embeddings,
    selection_ledger,
    selected_subset,
    pooled_ledger,
    pooled_subset,
    threshold_calibration,
    pooled_calibration,
    serving_catalog,
    store_upkeep,
    graded_set,
    graded_features,
    distilled_scorer,
    scorer_evaluation,
)


def build_defs(*, home_path: str = "") -> dg.Definitions:
    """A fresh graph; `home_path` overrides `$DEITA_HOME`, as tests and the CLI do."""
    return dg.Definitions(
        assets=list(ASSETS),
        asset_checks=list(ASSET_CHECKS),
        jobs=list(JOBS),
        schedules=[nightly_recuration, nightly_catalog],
        sensors=[
            landing_sensor,
            recuration_sensor,
            dead_run_sensor,
            run_failure_alerts,
            check_failure_alerts,
        ],
        resources={"platform": Platform(home_path=home_path), "pipes": dg.PipesSubprocessClient()},
        # One executor for all runs, also those from the UI, backfills and sensors; models run in Pipes children.
        executor=dg.in_process_executor,
    )


defs = build_defs()
