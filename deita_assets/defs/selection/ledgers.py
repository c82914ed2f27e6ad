"""`selection_ledger[source]` and `pooled_ledger[mixture]`: one pass, a verdict for every row, all budgets.

Run config makes a trial: registered and explainable, but it moves no head and triggers nothing.

What belongs here: the two assets. What does not: the pass (engines.select).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import dagster as dg

from deita_assets.defs.automation.curation import CURATE_ID
from deita_assets.defs.automation.staleness import CODE_VERSIONS
from deita_assets.defs.column_lineage import definition_metadata
from deita_assets.defs.descriptions import DESCRIPTIONS
from deita_assets.defs.embeddings.assets import embeddings
from deita_assets.defs.mending import take_out_refused
from deita_assets.defs.metadata import NOTES, TRIAL
from deita_assets.defs.platform import Platform
from deita_assets.defs.progress import pass_progress
from deita_assets.defs.scores.assets import scored_pool
from deita_assets.defs.selection.ledger_config import LedgerConfig
from deita_assets.defs.selection.ledger_metadata import budgets_of, ledger_metadata
from deita_assets.defs.steps import OWNERS, asset_step, pooled_sources
from deita_assets.engines.chosen_parameters import selection_parameters
from deita_assets.engines.cut import cut_subset
from deita_assets.engines.ledger_page import ThresholdCurve, curve_over
from deita_assets.engines.ledger_spec import family
from deita_assets.engines.parameters import SelectionParameters
from deita_assets.engines.select import OnBest, OnProgress, PassOptions, make_ledger
from deita_assets.partitions import known_budgets, mixtures, sources
from deita_assets.stores.ledgers import Scope, StoredLedger
from deita_assets.stores.pool import pool_version
from deita_assets.stores.serving import publish


def scope_of(platform: Platform, instance: dg.DagsterInstance, kind: str, name: str) -> Scope:
    """A scope with its sources as they are known now, in order of priority."""
    if kind == "source":
        return Scope(kind, name, (name,))
    return Scope(kind, name, tuple(platform.settings.mixture_sources(name, pooled_sources(instance))))


def parameters_of(
    platform: Platform, scope: Scope, config: LedgerConfig | None = None
) -> SelectionParameters:
    """Selection parameters of a scope: run config, then settings, then the embedder's own threshold.

    Raises:
        UsageError: run config with a value out of its bounds, or one that would change nothing.
    """
    chosen = selection_parameters(platform.settings, scope.kind, scope.name)
    if config is None:
        return chosen
    config.check()
    config.check_departs(chosen)
    parameters = replace(chosen, **config.departures)
    config.check_with(parameters)
    return parameters


def depth_of(
    platform: Platform, instance: dg.DagsterInstance, scope: Scope, config: LedgerConfig | None = None
) -> int | None:
    """How many rows a ledger has to keep: the largest budget that anybody wants of its scope; None for all."""
    if config and config.to_end:
        return None
    wanted = platform.settings.wanted_budgets(scope.kind, scope.name)
    wanted += [config.budget] if config and config.budget else []
    wanted += config.trial_budgets if config else []
    if not wanted:  # nobody said: a click in the UI; a subset that needs more takes the ledger further itself
        wanted = known_budgets(instance)
    return max(wanted, default=None)


def pass_options(
    context: dg.AssetExecutionContext,
    platform: Platform,
    notes: list[str],
    on_progress: OnProgress | None = None,
    on_best: OnBest | None = None,
) -> PassOptions:
    """How passes run here; what they have to say goes to the run's log and into `notes`."""

    def on_note(note: str) -> None:
        notes.append(note)
        context.log.info(note)

    chosen = platform.settings
    return PassOptions(chosen.selection_device, chosen.keep_ledgers, on_progress, on_note, on_best)


def _ledger(
    context: dg.AssetExecutionContext, platform: Platform, config: LedgerConfig, asset: str, kind: str
) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
    with asset_step(context, platform, asset) as metadata:
        scope = scope_of(platform, context.instance, kind, context.partition_key)
        parameters = parameters_of(platform, scope, config)
        depth = depth_of(platform, context.instance, scope, config)
        with platform.warehouse.read(f"ledger of {scope.name}: size") as con:
            total = sum(pool_version(con, source)[1] for source in scope.sources)
        notes: list[str] = []
        passed: list[ThresholdCurve] = []
        if not config.is_trial:
            take_out_refused(context, platform, asset)
        with pass_progress(context, f"{scope.name} {asset}", total, depth) as on_progress:
            done = make_ledger(
                platform.warehouse, scope, parameters,
                budget=depth, trial=config.is_trial,
                options=pass_options(
                    context, platform, notes, on_progress,
                    None if config.is_trial else
                    lambda best: passed.append(curve_over(best, parameters.threshold)),
                ),
            )  # fmt: skip
        if config.is_trial:
            # One key of its own: Dagster lays an observation's metadata over those of the lasting ledger.
            trial = _trial(context, platform, config, done, notes)
            context.log_event(
                dg.AssetObservation(
                    asset_key=context.asset_key,
                    partition=context.partition_key,
                    metadata={TRIAL: dg.MetadataValue.json(trial)},
                )
            )
            if CURATE_ID not in context.run.tags:  # `curate` publishes at its end
                publish(platform.home)  # nothing is materialised, so nobody else would
            return
        shown = ledger_metadata(
            platform, done, parameters,
            budgets=budgets_of(platform, context.instance, scope),
            passed=passed[0] if passed else None, last=_latest(context),
        )  # fmt: skip
        if notes:
            shown[NOTES] = "; ".join(notes)
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(family(done.spec)), metadata={**shown, **metadata}
        )


def _trial(
    context: dg.AssetExecutionContext,
    platform: Platform,
    config: LedgerConfig,
    ledger: StoredLedger,
    notes: list[str],
) -> dict[str, Any]:
    """Cut the subsets of a trial; what it departed from and what came of it."""
    versions, rows = {}, {}
    for budget in config.trial_budgets:
        cut = cut_subset(
            platform.warehouse, ledger, budget, provenance={"run_id": context.run_id}, trial=True,
            options=pass_options(context, platform, notes), show_rows=platform.settings.sample_rows_in_ui,
            require_licence=platform.settings.require_licence,
        )  # fmt: skip
        versions[str(budget)], rows[str(budget)] = cut.selection.version, len(cut.selection.members)
    return {
        "departs": config.departures,
        "ledger_id": ledger.ledger_id,
        "kept": ledger.n_kept,
        "visited": ledger.n_visited,
        "versions": versions,
        "rows": rows,
        "notes": notes,
    }


def _latest(context: dg.AssetExecutionContext) -> Mapping[str, dg.MetadataValue[Any]]:
    """Metadata of the latest materialisation of this partition; none for the first."""
    records = context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=context.asset_key, asset_partitions=[context.partition_key]), limit=1
    ).records
    latest = records[0].asset_materialization if records else None
    return latest.metadata if latest else {}


@dg.asset(
    partitions_def=sources,
    deps=[scored_pool, embeddings],
    group_name="selection",
    kinds={"duckdb", "numpy"},
    owners=OWNERS,
    description=DESCRIPTIONS["selection_ledger"],
    code_version=CODE_VERSIONS["selection_ledger"],
    output_required=False,
    metadata=definition_metadata("selection_ledger", "ledger"),
)
def selection_ledger(
    context: dg.AssetExecutionContext, config: LedgerConfig, platform: Platform
) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
    """REPR FILTER over one source: every row kept, or dropped with the kept row that blocked it."""
    yield from _ledger(context, platform, config, "selection_ledger", "source")


@dg.asset(
    partitions_def=mixtures,
    # Without the explicit mapping Dagster silently infers no upstream partition at all. Every mixture therefore
    # shows every source above it in the UI; its true inputs are in its ledger's spec.
    deps=[
        dg.AssetDep(scored_pool, partition_mapping=dg.AllPartitionMapping()),
        dg.AssetDep(embeddings, partition_mapping=dg.AllPartitionMapping()),
    ],
    group_name="selection",
    kinds={"duckdb", "numpy"},
    owners=OWNERS,
    description=DESCRIPTIONS["pooled_ledger"],
    code_version=CODE_VERSIONS["pooled_ledger"],
    output_required=False,
    metadata=definition_metadata("pooled_ledger", "ledger"),
)
def pooled_ledger(
    context: dg.AssetExecutionContext, config: LedgerConfig, platform: Platform
) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
    """REPR FILTER over the union of a mixture's sources, as in the paper: duplicates are found across sources."""
    yield from _ledger(context, platform, config, "pooled_ledger", "mixture")
