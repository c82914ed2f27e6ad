"""`selection_ledger[source]` and `pooled_ledger[mixture]`: one pass, a verdict for every row, all budgets.

Run config makes a trial: registered and explainable, but it moves no head and triggers nothing.

What belongs here: the two assets. What does not: the pass (engines.select).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dagster as dg
from pydantic import Field

from deita_assets.core.aggregations import AGGREGATIONS
from deita_assets.core.selectors import SELECTORS
from deita_assets.core.verdicts import KEPT, NEAR_DUPLICATE
from deita_assets.defs.automation.staleness import CODE_VERSIONS
from deita_assets.defs.column_lineage import definition_metadata
from deita_assets.defs.embeddings.assets import embeddings
from deita_assets.defs.metadata import NOTES, TRIAL, counts, table
from deita_assets.defs.platform import Platform
from deita_assets.defs.scores.assets import scored_pool
from deita_assets.defs.steps import OWNERS, asset_step, pooled_sources
from deita_assets.engines.chosen_parameters import selection_parameters
from deita_assets.engines.cut import cut_subset
from deita_assets.engines.ledger_spec import family
from deita_assets.engines.parameters import SelectionParameters
from deita_assets.engines.progress import LOG_EVERY_S, Progress
from deita_assets.engines.select import OnProgress, PassOptions, make_ledger
from deita_assets.errors import SettingsError
from deita_assets.partitions import mixtures, sources
from deita_assets.stores import ledgers
from deita_assets.stores.ledgers import Scope, StoredLedger
from deita_assets.stores.pool import pool_version

#: Near-duplicates shown side by side, closest to the threshold first, and characters shown of each.
EXAMPLES = 5
_SHOWN = 160


class LedgerConfig(dg.Config):
    """Launchpad settings of a ledger. Leave all as they are for the lasting ledger of the scope."""

    budget: int | None = Field(default=None, ge=1, description="Go on until this many rows are kept.")
    to_end: bool = Field(default=False, description="Visit every row, whatever the budgets.")
    threshold: float | None = Field(
        default=None,
        gt=-1,
        le=1,
        description="Trial: drop a row when its similarity to a kept row is above this.",
    )
    aggregation: str | None = Field(
        default=None, description=f"Trial: how turns add up; one of {', '.join(AGGREGATIONS)}."
    )
    selector: str | None = Field(
        default=None, description=f"Trial: how rows are chosen; one of {', '.join(SELECTORS)}."
    )
    seed: int | None = Field(default=None, ge=0, description="Trial: seed of selector `random`.")
    where: str | None = Field(
        default=None, description="Trial: a condition in SQL over the columns of `pool` and `scored_pool`."
    )
    frozen_base: str | None = Field(
        default=None,
        description="Trial: a selection version whose rows stay, before anything else is chosen.",
    )
    trial_budgets: list[int] = Field(default=[], description="Trial: publish subsets of these sizes.")

    @property
    def departures(self) -> dict[str, Any]:
        """What departs from the settings, by the name of the setting."""
        named = ("threshold", "aggregation", "selector", "seed", "where", "frozen_base")
        return {name: value for name in named if (value := getattr(self, name)) is not None}

    @property
    def is_trial(self) -> bool:
        """True when anything departs from the settings."""
        return bool(self.departures)


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
        SettingsError: an unknown aggregation or selector.
    """
    chosen = selection_parameters(platform.settings, scope.kind, scope.name)
    parameters = replace(chosen, **config.departures) if config else chosen
    for what, value, known in (
        ("aggregation", parameters.aggregation, AGGREGATIONS),
        ("selector", parameters.selector, SELECTORS),
    ):
        if value not in known:
            raise SettingsError(f"{what} {value!r} is unknown.", cure=f"Use one of {', '.join(known)}.")
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
        wanted = [int(budget) for budget in instance.get_dynamic_partitions("budget")]
    return max(wanted, default=None)


def pass_options(
    context: dg.AssetExecutionContext,
    platform: Platform,
    notes: list[str],
    on_progress: OnProgress | None = None,
) -> PassOptions:
    """How passes run here; what they have to say goes to the run's log and into `notes`."""

    def on_note(note: str) -> None:
        notes.append(note)
        context.log.info(note)

    chosen = platform.settings
    return PassOptions(chosen.selection_device, chosen.keep_ledgers, on_progress, on_note)


def _progress(context: dg.AssetExecutionContext, total: int) -> OnProgress:
    """Rows/s, rows kept and ETA, every now and then, in the run's log."""
    n_kept = 0
    progress = Progress(
        total, total, lambda now: context.log.info(f"{now.line()}; {n_kept:,} kept"), LOG_EVERY_S
    )

    def on_progress(visited: int, kept: int) -> None:
        nonlocal n_kept
        n_kept = kept
        progress.advance(visited - progress.rows, visited - progress.rows)

    return on_progress


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
        done = make_ledger(
            platform.warehouse, scope, parameters,
            budget=depth, trial=config.is_trial,
            options=pass_options(context, platform, notes, _progress(context, total)),
        )  # fmt: skip
        shown = _metadata(platform, done, parameters)
        if notes:
            shown[NOTES] = "; ".join(notes)
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
            return
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(family(done.spec)), metadata={**metadata, **shown}
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


def _metadata(platform: Platform, ledger: StoredLedger, parameters: SelectionParameters) -> dict[str, Any]:
    with platform.warehouse.read(f"ledger {ledger.ledger_id}: counts") as con:
        verdicts = ledgers.verdict_counts(con, ledger.ledger_id)
        pairs = (
            ledgers.closest_pairs(con, ledger.ledger_id, EXAMPLES)
            if platform.settings.sample_rows_in_ui
            else []
        )
    compared = verdicts.get(KEPT, 0) + verdicts.get(NEAR_DUPLICATE, 0)
    return {
        "dagster/partition_row_count": ledger.n_rows,
        "ledger_id": ledger.ledger_id,
        "selector": parameters.selector,
        **({} if ledger.threshold is None else {"threshold": ledger.threshold}),
        "aggregation": parameters.aggregation,
        "kept": ledger.n_kept,
        "visited": ledger.n_visited,
        "drop_rate": round(verdicts.get(NEAR_DUPLICATE, 0) / max(compared, 1), 4),
        "exhausted": ledger.exhausted,
        "verdicts": counts(verdicts, "verdict"),
        "sources": len(ledger.scope.sources),
        "near_duplicates": table(
            ["similarity", "dropped", "kept"],
            [(f"{similarity:.4f}", dropped[:_SHOWN], kept[:_SHOWN]) for similarity, dropped, kept in pairs],
        ),
    }


@dg.asset(
    partitions_def=sources,
    deps=[scored_pool, embeddings],
    group_name="selection",
    kinds={"duckdb", "numpy"},
    owners=OWNERS,
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
    code_version=CODE_VERSIONS["pooled_ledger"],
    output_required=False,
    metadata=definition_metadata("pooled_ledger", "ledger"),
)
def pooled_ledger(
    context: dg.AssetExecutionContext, config: LedgerConfig, platform: Platform
) -> Iterator[dg.MaterializeResult]:  # type: ignore[type-arg]
    """REPR FILTER over the union of a mixture's sources, as in the paper: duplicates are found across sources."""
    yield from _ledger(context, platform, config, "pooled_ledger", "mixture")
