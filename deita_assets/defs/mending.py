"""What an asset does first when its last check failed: take out what was refused, and so make it anew.

What belongs here: when. What does not: taking out (engines.mend).
"""

from collections.abc import Callable

import dagster as dg

from deita_assets.defs.check_records import blocking_failures
from deita_assets.defs.platform import Platform
from deita_assets.engines import mend
from deita_assets.stores.warehouse import Warehouse


def _subset(kind: str) -> Callable[[Warehouse, str], int]:
    def taken(warehouse: Warehouse, partition: str) -> int:
        budget, scope = partition.split("|")
        return mend.mend_subset(warehouse, kind, scope, int(budget))

    return taken


_MEND: dict[str, Callable[[Warehouse, str], int]] = {
    "complexity_scores": lambda warehouse, source: mend.mend_scores(warehouse, source, "complexity"),
    "quality_scores": lambda warehouse, source: mend.mend_scores(warehouse, source, "quality"),
    "embeddings": mend.mend_embeddings,
    "selection_ledger": lambda warehouse, source: mend.mend_ledger(warehouse, "source", source),
    "pooled_ledger": lambda warehouse, mixture: mend.mend_ledger(warehouse, "mixture", mixture),
    "selected_subset": _subset("source"),
    "pooled_subset": _subset("mixture"),
}


_RESULTS = "{:,} refused or needless results were taken out."
_LEDGER = "its ledger was altered and is let go."
_VERSION = "the rows of its version in the registry were altered and are put right, or forgotten."
_TAKEN = {
    "complexity_scores": _RESULTS,
    "quality_scores": _RESULTS,
    "embeddings": _RESULTS,
    "selection_ledger": _LEDGER,
    "pooled_ledger": _LEDGER,
    "selected_subset": _VERSION,
    "pooled_subset": _VERSION,
}


def take_out_refused(context: dg.AssetExecutionContext, platform: Platform, asset: str) -> None:
    """Take out what the last blocking check of this partition refused; nothing where none failed."""
    partition = str(context.partition_key)
    failed = blocking_failures(context.instance, asset, partition)
    if failed and (taken := _MEND[asset](platform.warehouse, partition)):
        context.log.warning(
            f"{asset}[{partition}]: {', '.join(failed)} failed; {_TAKEN[asset].format(taken)} What was made of it is "
            "made again by `deita-assets curate` of its scope."
        )
