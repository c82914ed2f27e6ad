"""`selected_subset[source x budget]` and `pooled_subset[mixture x budget]`: cuts of a ledger, as files and versions.

What belongs here: the two assets. What does not: cutting and publishing (engines.cut), or what changed (diff_metadata).
"""

import datetime as dt
import platform as machine
from importlib.metadata import version
from typing import Any

import dagster as dg

from deita_assets.defs.automation.staleness import CODE_VERSIONS
from deita_assets.defs.column_lineage import definition_metadata
from deita_assets.defs.metadata import NOTES, counts
from deita_assets.defs.platform import Platform
from deita_assets.defs.selection.diff_metadata import diff_metadata
from deita_assets.defs.selection.ledgers import pass_options, pooled_ledger, selection_ledger
from deita_assets.defs.steps import OWNERS, asset_step
from deita_assets.engines.cut import Cut, cut_subset
from deita_assets.partitions import mixture_budgets, source_budgets
from deita_assets.stores import ledgers

_LIBRARIES = ("deita-assets", "dagster", "duckdb", "lancedb", "pyarrow", "numpy", "torch", "transformers")


def provenance(run_id: str) -> dict[str, Any]:
    """When, where and with what a subset was made; never part of its identity."""
    return {
        "run_id": run_id,
        "created_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "host": machine.node(),
        "python": machine.python_version(),
        "libraries": {name: version(name) for name in _LIBRARIES},
    }


def _subset(
    context: dg.AssetExecutionContext, platform: Platform, asset: str, kind: str
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    keys = context.partition_key.keys_by_dimension
    scope, budget = keys[kind], int(keys["budget"])
    with asset_step(context, platform, asset) as metadata:
        warehouse = platform.warehouse
        with warehouse.read(f"subset of {scope}: ledger") as con:
            ledger = ledgers.head_ledger(con, kind, scope)
        notes: list[str] = []
        cut = cut_subset(
            warehouse,
            ledger,
            budget,
            provenance=provenance(context.run_id),
            options=pass_options(context, platform, notes),
            show_rows=platform.settings.sample_rows_in_ui,
            require_licence=platform.settings.require_licence,
        )
        if cut.unknown_licences:
            notes.append(f"licence unknown: {', '.join(cut.unknown_licences)}")
            context.log.warning(
                f"{scope}: {notes[-1]}. The card says so; `require_licence = true` would refuse."
            )
        if len(cut.selection.members) < budget:
            context.log.warning(
                f"{scope}: {len(cut.selection.members):,} rows, not {budget:,}: the pool holds no more that "
                "can be selected (see `verdicts`)."
            )
        return dg.MaterializeResult(
            data_version=dg.DataVersion(cut.selection.members_sha256[:16]),
            metadata={
                **metadata,
                **_metadata(cut),
                **diff_metadata(warehouse, cut),
                **({NOTES: "; ".join(notes)} if notes else {}),
            },
        )


def _metadata(cut: Cut) -> dict[str, Any]:
    members = cut.selection.members
    return {
        "dagster/partition_row_count": len(members),
        "dagster/uri": str(cut.directory),
        "selection_version": cut.selection.version,
        "folder": dg.MetadataValue.path(str(cut.directory)),
        "train_jsonl": dg.MetadataValue.path(str(cut.directory / "train.jsonl")),
        "ledger_id": cut.selection.ledger.ledger_id,
        "selector": cut.selection.spec["selector"]["name"],
        "mean_turns_selected": round(cut.turns.selected, 3),
        "mean_turns_pool": round(cut.turns.pool, 3),
        "source_mix": counts(cut.mix, "source"),
        "verdicts": counts(cut.counts, "verdict"),
        "lowest_evol_score": members[-1].evol_score if members else 0.0,
    }


@dg.asset(
    partitions_def=source_budgets,
    deps=[selection_ledger],
    group_name="selection",
    kinds={"json", "parquet"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["selected_subset"],
    metadata=definition_metadata("selected_subset"),
)
def selected_subset(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The best rows of one source at one budget: JSONL, Parquet, card, manifest, under a content-addressed version."""
    return _subset(context, platform, "selected_subset", "source")


@dg.asset(
    partitions_def=mixture_budgets,
    deps=[pooled_ledger],
    group_name="selection",
    kinds={"json", "parquet"},
    owners=OWNERS,
    code_version=CODE_VERSIONS["pooled_subset"],
    metadata=definition_metadata("pooled_subset"),
)
def pooled_subset(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The best rows of a mixture at one budget: the DEITA selection proper."""
    return _subset(context, platform, "pooled_subset", "mixture")
