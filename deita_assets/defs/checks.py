"""Every asset check, in journey order.

What belongs here: the list. What does not: any check; those stand beside their assets.
"""

from deita_assets.defs.embeddings.checks import embeddings_checks
from deita_assets.defs.pool.checks import raw_pool_checks
from deita_assets.defs.scores.checks import (
    complexity_scores_checks,
    quality_scores_checks,
    scored_pool_checks,
)
from deita_assets.defs.selection.checks import (
    pooled_ledger_checks,
    pooled_subset_checks,
    selected_subset_checks,
    selection_ledger_checks,
)
from deita_assets.defs.serving.checks import serving_catalog_checks

ASSET_CHECKS = (
    raw_pool_checks,
    complexity_scores_checks,
    quality_scores_checks,
    embeddings_checks,
    scored_pool_checks,
    selection_ledger_checks,
    pooled_ledger_checks,
    selected_subset_checks,
    pooled_subset_checks,
    serving_catalog_checks,
)
