"""`drop_rate` of `selection_ledger` and `pooled_ledger`: does the threshold do anything, does it leave anything?

They are checks of their own beside the assets, not `check_specs` yielded by them: a trial gives no materialisation, and
an asset that has to yield a check result fails without one, while a check beside it is skipped. Runs that select the
asset by key run them too. They have the partitions of their asset, so that one source's result does not stand for
another's; Dagster calls partitioned checks a preview, and its notice is kept from every command's output.

What belongs here: the two checks. What does not: the rule (core.drop_rate).
"""

import warnings

import dagster as dg

from deita_assets.core.drop_rate import Drops, judge
from deita_assets.defs.platform import Platform
from deita_assets.defs.selection.ledgers import pooled_ledger, selection_ledger
from deita_assets.defs.steps import as_failure
from deita_assets.errors import DeitaError
from deita_assets.partitions import mixtures, sources
from deita_assets.stores import calibrations, ledgers

_DESCRIPTION = (
    "Warns when a threshold drops fewer than 1 % or more than 90 % of the rows and pairs are near it."
)


def _drop_rate(platform: Platform, kind: str, name: str) -> dg.AssetCheckResult:
    try:
        with platform.warehouse.read(f"drop rate of {name}") as con:
            ledger = ledgers.head_ledger(con, kind, name)
            threshold = ledger.threshold
            drops = (
                Drops(0, 0, 0) if threshold is None else calibrations.drops(con, ledger.ledger_id, threshold)
            )
    except DeitaError as error:
        raise as_failure(error) from error
    found = judge(name, threshold, drops)
    return dg.AssetCheckResult(
        passed=found.passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=found.message,
        metadata={
            "ledger_id": ledger.ledger_id,
            "kept": drops.kept,
            "dropped": drops.dropped,
            "near_threshold": drops.near,
        },
    )


with warnings.catch_warnings():
    warnings.simplefilter("ignore", dg.PreviewWarning)

    @dg.asset_check(
        asset=selection_ledger, name="drop_rate", description=_DESCRIPTION, partitions_def=sources
    )
    def source_drop_rate(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
        """The drop rate of one source."""
        return _drop_rate(platform, "source", context.partition_key)

    @dg.asset_check(asset=pooled_ledger, name="drop_rate", description=_DESCRIPTION, partitions_def=mixtures)
    def pooled_drop_rate(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
        """The drop rate of one mixture."""
        return _drop_rate(platform, "mixture", context.partition_key)
