"""`selected_subset[source x budget]` and `pooled_subset[mixture x budget]`: cuts of a ledger, as files and versions.

What belongs here: the two assets. What does not: cutting and publishing (engines.cut), or what changed (diff_metadata).
"""

import datetime as dt
import platform as machine
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import dagster as dg

from deita_assets.core.names import validate_budget
from deita_assets.defs.automation.staleness import CODE_VERSIONS
from deita_assets.defs.column_lineage import definition_metadata
from deita_assets.defs.descriptions import DESCRIPTIONS
from deita_assets.defs.mending import take_out_refused
from deita_assets.defs.metadata import NOTES, counts, finite, numbers, picture, table
from deita_assets.defs.platform import Platform
from deita_assets.defs.selection.diff_metadata import diff_metadata
from deita_assets.defs.selection.ledger_metadata import budgets_of, subset_budget
from deita_assets.defs.selection.ledgers import pass_options, pooled_ledger, selection_ledger
from deita_assets.defs.steps import OWNERS, asset_step
from deita_assets.engines.cut import Cut, cut_subset
from deita_assets.engines.ledger_page import BudgetReach, budget_reach
from deita_assets.engines.plots import histogram
from deita_assets.exports.published import TRAIN
from deita_assets.partitions import mixture_budgets, source_budgets
from deita_assets.stores import ledger_facts, ledgers

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
    scope = keys[kind]
    with asset_step(context, platform, asset) as metadata:
        budget = validate_budget(keys["budget"])
        warehouse = platform.warehouse
        take_out_refused(context, platform, asset)
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
        budgets = [*budgets_of(platform, context.instance, ledger.scope), budget]
        with warehouse.read(f"subset of {scope}: page") as con:
            reach = budget_reach(con, cut.selection.ledger, budgets)
            pool = ledger_facts.rows_by_source(con, cut.selection.ledger.ledger_id)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(cut.selection.members_sha256[:16]),
            metadata={
                "dagster/partition_row_count": len(cut.selection.members),
                **({NOTES: "; ".join(notes)} if notes else {}),
                **_chosen(cut, pool, reach),
                **diff_metadata(warehouse, cut),
                "verdicts": counts(cut.counts, "verdict"),
                **_files(cut),
                **metadata,
            },
        )


def _chosen(cut: Cut, pool: Mapping[str, int], reach: BudgetReach) -> dict[str, Any]:
    """What was chosen, against what it was chosen from.

    Args:
        cut: as published.
        pool: rows of the ledger by source.
        reach: how far budgets reach on it.
    """
    n_selected, n_pool = max(len(cut.selection.members), 1), max(sum(pool.values()), 1)
    mix = [
        (
            source,
            f"{cut.mix.get(source, 0):,}",
            f"{cut.mix.get(source, 0) / n_selected:.1%}",
            f"{n_rows / n_pool:.1%}",
        )
        for source, n_rows in sorted(
            pool.items(), key=lambda each: (-cut.mix.get(each[0], 0), -each[1], each[0])
        )
    ]
    selected = finite([member.evol_score for member in cut.selection.members])
    scored = finite(reach.scores)
    drawn = histogram(scored, selected)
    return {
        "source_mix": table(["source", "rows", "of the selection", "of the pool"], mix),
        **subset_budget(reach, cut.selection.ledger, cut.selection.budget),
        "score_plot": picture(
            drawn, "histogram of evol_score", "grey: the pool and its median; blue: the selection"
        ),
        **numbers(
            mean_evol_score=float(selected.mean()) if len(selected) else None,
            mean_evol_score_pool=float(scored.mean()) if len(scored) else None,
            mean_turns_selected=cut.turns.selected,
            mean_turns_pool=cut.turns.pool,
        ),
    }


def _files(cut: Cut) -> dict[str, Any]:
    """Where the files stand, and what they were made from."""
    folder = cut.directory
    return {
        "train_jsonl": dg.MetadataValue.path(str(folder / TRAIN)),
        "folder": dg.MetadataValue.path(str(folder)),
        "files": ", ".join(
            sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())
        ),
        "dagster/uri": folder.resolve().as_uri(),
        "selection_version": cut.selection.version,
        "selector": cut.selection.spec["selector"]["name"],
        "ledger_id": cut.selection.ledger.ledger_id,
    }


@dg.asset(
    partitions_def=source_budgets,
    deps=[selection_ledger],
    group_name="selection",
    kinds={"json", "parquet"},
    owners=OWNERS,
    description=DESCRIPTIONS["selected_subset"],
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
    description=DESCRIPTIONS["pooled_subset"],
    code_version=CODE_VERSIONS["pooled_subset"],
    metadata=definition_metadata("pooled_subset"),
)
def pooled_subset(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """The best rows of a mixture at one budget: the DEITA selection proper."""
    return _subset(context, platform, "pooled_subset", "mixture")
