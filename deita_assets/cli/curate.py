"""`deita-assets curate`: from what stands in landing to published subsets.

What belongs here: the command, its order of work and its summary. What does not: the assets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from deita_assets.cli.session import Session, with_session
from deita_assets.core.aggregations import AGGREGATIONS
from deita_assets.core.names import validate_budget
from deita_assets.core.selectors import SELECTORS
from deita_assets.errors import NotFoundError, SettingsError, UsageError
from deita_assets.settings import ALL

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Plan:
    """What one `curate` is to bring up to date."""

    kind: str
    sources: tuple[str, ...]
    budgets: Mapping[str, tuple[int, ...]]
    #: Exclusion sets of the scopes, and whether any scope compares vectors with them.
    avoided: tuple[str, ...] = ()
    compares_vectors: bool = False

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes to select from."""
        return tuple(self.budgets)

    @property
    def subsets(self) -> list[tuple[str, int]]:
        """(scope, budget) of every subset wanted."""
        return [(scope, budget) for scope, budgets in self.budgets.items() for budget in budgets]


@click.command("curate")
@click.option("--source", "sources", multiple=True, help="Select within this source; may be given again.")
@click.option(
    "--mixture", "mixtures", multiple=True, help="Select from the union of a mixture [default: all]."
)
@click.option("--budget", "budgets", multiple=True, type=str, help="Rows wanted; may be given again.")
@click.option(
    "--threshold", type=float, help="Trial: another similarity threshold; moves no current selection."
)
@click.option("--where", help="Trial: only rows that meet this SQL condition over `pool` and `scored_pool`.")
@click.option("--selector", type=click.Choice(list(SELECTORS)), help="Trial: another way to choose rows.")
@click.option("--seed", type=click.IntRange(0), help="Trial: seed of selector `random`.")
@click.option("--aggregation", type=click.Choice(AGGREGATIONS), help="Trial: another way to add up turns.")
@click.option(
    "--frozen-base", metavar="VERSION", help="Trial: the rows of this selection stay; only others compete."
)
@click.option("--dry-run", is_flag=True, help="Show what is stale and would run.")
@with_session
def command(
    session: Session,
    sources: tuple[str, ...],
    mixtures: tuple[str, ...],
    budgets: tuple[str, ...],
    dry_run: bool,
    **trial: Any,
) -> None:
    """Score, embed and select; what is current is skipped, what was cut off is taken up."""
    plan = make_plan(session, sources, mixtures, budgets)
    departures = {name: value for name, value in trial.items() if value is not None}
    if base := departures.get("frozen_base"):
        departures["frozen_base"] = _whole_version(session, base)
    _refuse_idle(departures)
    threshold = departures.get("threshold")
    if threshold is not None and not -1 < threshold <= 1:
        raise UsageError(
            f"--threshold {threshold}: expected a cosine similarity above -1 and up to 1.",
            cure="`deita-assets calibrate SCOPE` shows what each threshold would keep.",
        )
    _check_parameters(session, plan, departures)
    if dry_run:
        _dry_run(session, plan)
        return
    run_plan(session, plan, trial=bool(departures))
    document = _trials(session, plan, departures) if departures else summary(session, plan)
    session.emit(document)


def _check_parameters(session: Session, plan: Plan, departures: Mapping[str, Any]) -> None:
    """Refuse what cannot be selected before anything is scored or embedded.

    Raises:
        SettingsError: quotas, filters or a selector that do not fit a scope or its budgets.
        UsageError: a condition that DuckDB does not understand, or a frozen base that is no version.
    """
    from deita_assets.engines.chosen_parameters import selection_parameters

    for scope, budgets in plan.budgets.items():
        sources = (
            (scope,)
            if plan.kind == "source"
            else tuple(session.settings.mixture_sources(scope, list(plan.sources)))
        )
        parameters = replace(selection_parameters(session.settings, plan.kind, scope), **departures)
        parameters.check(f"{plan.kind} {scope!r}", sources)
        _check_stores(session, parameters.where, parameters.frozen_base)
        if (owed := sum(parameters.floors.values())) > min(budgets):
            raise SettingsError(
                f"{plan.kind} {scope!r}: its floors ask for {owed:,} rows, but a budget is {min(budgets):,}.",
                cure="Lower the floors, or ask for larger budgets.",
            )


def _check_stores(session: Session, where: str | None, frozen_base: str | None) -> None:
    """Refuse a condition or a frozen base that the run would refuse; no row is looked at yet."""
    from deita_assets.stores.row_condition import rows_where_not
    from deita_assets.stores.versions import whole_version
    from deita_assets.stores.warehouse import Warehouse

    if where is not None:
        rows_where_not(Warehouse(session.home), [], where)
    if frozen_base is not None:
        with Warehouse(session.home).read("frozen base") as con:
            whole_version(con, frozen_base, "frozen base")


def _refuse_idle(departures: Mapping[str, Any]) -> None:
    """Options that would change nothing."""
    selector = departures.get("selector")
    if "seed" in departures and selector != "random":
        raise UsageError("--seed is the seed of `--selector random`.", cure="Give both, or neither.")
    if "threshold" in departures and selector and not SELECTORS[selector].takes_threshold:
        raise UsageError(
            f"--selector {selector} compares nothing with a threshold.", cure="Leave --threshold out."
        )


def _whole_version(session: Session, prefix: str) -> str:
    """The one selection version that starts so."""
    from deita_assets.cli.look import find_version
    from deita_assets.stores.serving import open_serving

    with open_serving(session.home) as con:
        return str(find_version(con, prefix)["selection_version"])


def make_plan(
    session: Session, sources: tuple[str, ...], mixtures: tuple[str, ...], budgets: tuple[str, ...]
) -> Plan:
    """Scopes, their sources, and budgets out of the options and settings.

    Raises:
        UsageError: both kinds of scope, or no budget anywhere.
        NotFoundError: an unknown source, or no source at all.
    """
    settings = session.settings  # a wrong deita.toml is the first thing to hear about
    if sources and mixtures:
        raise UsageError("--source and --mixture together.", cure="Select within sources, or from a mixture.")
    known = _known_sources(session)
    if questions := sorted(set(sources) & settings.exclusion_sources):
        raise UsageError(
            f"{', '.join(questions)}: an exclusion set, which is not selected from.",
            cure="Take it out of `exclusion_sets` in deita.toml, or select from another source.",
        )
    _refuse_shared_name(settings.mixture_names, known)
    if sources:
        unknown = sorted(set(sources) - set(known))
        if unknown:
            raise NotFoundError(f"no source {', '.join(unknown)}.", cure=f"Known: {', '.join(known)}.")
        kind, scopes, needed = "source", sources, sources
    else:
        kind, scopes = "mixture", mixtures or (ALL,)
        needed = tuple(s for name in scopes for s in settings.mixture_sources(name, known))
    asked = {int(validate_budget(text)) for text in budgets}
    wanted = {s: tuple(sorted(asked or settings.wanted_budgets(kind, s))) for s in scopes}
    if missing := [scope for scope, chosen in wanted.items() if not chosen]:
        raise UsageError(
            f"no budget for {', '.join(missing)}.",
            cure="Give --budget N, or set `budgets = [N]` in deita.toml.",
        )
    avoided = {s for name in scopes for s in settings.scope_exclusion_sets(kind, name)}
    if strangers := sorted(avoided - set(known)):
        raise NotFoundError(
            f"exclusion set {', '.join(strangers)} is no source of this home.",
            cure="Add it with `deita-assets add SOURCE PATH`, or correct `exclusion_sets` in deita.toml.",
        )
    compares = any(settings.selection(kind, s).contamination.similarity is not None for s in scopes)
    return Plan(kind, tuple(dict.fromkeys(needed)), wanted, tuple(sorted(avoided - set(needed))), compares)


def _known_sources(session: Session) -> list[str]:
    """Sources with a pool, folders of landing that hold files, and sources that come from the hub; in name order.

    Raises:
        NotFoundError: there is none.
    """
    from deita_assets.defs.steps import pooled_sources
    from deita_assets.engines.hub import hub_sources
    from deita_assets.engines.landing import landing_paths, source_names

    landed = [name for name in source_names(session.home) if landing_paths(session.home, name)]
    known = sorted({*pooled_sources(session.instance), *landed, *hub_sources(session.settings)})
    if not known:
        raise NotFoundError(
            f"{session.home.root} has no source yet.", cure="Run `deita-assets add SOURCE PATH`."
        )
    return known


def _refuse_shared_name(mixtures: list[str], sources: list[str]) -> None:
    if shared := sorted(set(mixtures) & set(sources)):
        raise UsageError(
            f"{', '.join(shared)}: both a source and a mixture.", cure="Rename the mixture in deita.toml."
        )


def run_plan(session: Session, plan: Plan, *, trial: bool = False) -> None:
    """Run everything of a plan that is stale, in journey order; for a trial, only what it reads."""
    from deita_assets.defs.automation.staleness import SOURCE_ASSETS

    curation = session.curation
    curation.register("source", plan.sources)
    if plan.kind == "mixture":
        curation.register("mixture", plan.scopes)
    if not trial:
        curation.register("budget", [str(budget) for budget in sorted({b for _, b in plan.subsets})])
    curation.register("source", plan.avoided)
    for source in plan.avoided:
        curation.source(source, ("raw_pool", "embeddings") if plan.compares_vectors else ("raw_pool",))
    for source in plan.sources:
        if plan.kind == "source" and not trial:
            depth = {"selection_ledger": {"budget": max(plan.budgets[source])}}
            curation.source(source, SOURCE_ASSETS, depth)
        else:
            curation.source(source, SOURCE_ASSETS[:-1])
    if not trial:
        for scope, budgets in plan.budgets.items():
            if plan.kind == "mixture":
                curation.pooled(scope, max(budgets))
            for budget in budgets:
                curation.subset(plan.kind, scope, budget)
        curation.serving()


def summary(session: Session, plan: Plan) -> dict[str, Any]:
    """What the selections of a plan are now; printed and returned."""
    from deita_assets.cli.session import dictionaries
    from deita_assets.stores.serving import open_serving

    with open_serving(session.home) as con:
        rows = dictionaries(
            con,
            "select scope_kind, scope, budget, n_rows, selection_version, ledger_id, directory from selections "
            "where is_head and scope_kind = ? and list_contains(?, scope || '|' || budget) "
            "order by scope, budget",
            [plan.kind, [f"{scope}|{budget}" for scope, budget in plan.subsets]],
        )
        warnings = [*_shortages(con, rows), *_withheld(session, con, plan.sources)]
    session.out.print("")
    session.table(
        "", ["scope", "budget", "rows", "version", "folder"],
        [[r["scope"], r["budget"], r["n_rows"], r["selection_version"], r["directory"]] for r in rows],
    )  # fmt: skip
    for warning in warnings:
        session.err.print(f"warning: {warning}", markup=False)
    return {"selections": rows, "warnings": warnings}


def _shortages(con: duckdb.DuckDBPyConnection, rows: list[dict[str, Any]]) -> list[str]:
    """Why selections are smaller than their budgets."""
    found = []
    for row in rows:
        if row["n_rows"] < row["budget"]:
            counts = dict(
                con.execute(
                    "select verdict, count(*) from ledger_at(?, ?) group by 1",
                    [row["ledger_id"], row["budget"]],
                ).fetchall()
            )
            dropped = ", ".join(
                f"{n:,} {verdict}" for verdict, n in sorted(counts.items()) if verdict != "kept"
            )
            found.append(
                f"{row['scope']}: {row['n_rows']:,} rows, not {row['budget']:,}: its pool of "
                f"{sum(counts.values()):,} holds no more ({dropped or 'every row was kept'})."
            )
    return found


def _withheld(session: Session, con: duckdb.DuckDBPyConnection, sources: tuple[str, ...]) -> list[str]:
    """Sources whose rows are held back from removal, with the cure."""
    from deita_assets.cli.add import withheld_warning
    from deita_assets.engines.landing import withheld_files
    from deita_assets.stores.pool import live_files

    files = {source: withheld_files(session.home, source, live_files(con, source)) for source in sources}
    return [withheld_warning(session, source, gone) for source, gone in files.items() if gone]


def _trials(session: Session, plan: Plan, departures: Mapping[str, Any]) -> dict[str, Any]:
    trials = []
    with_what = ", ".join(f"{name} {value}" for name, value in departures.items())
    for scope in plan.scopes:
        shown = session.curation.trial(
            plan.kind, scope, {**departures, "trial_budgets": list(plan.budgets[scope])}
        )
        versions = {budget: shown["versions"][str(budget)] for budget in plan.budgets[scope]}
        trials.append(
            {"scope": scope, "ledger_id": shown["ledger_id"], "kept": shown["kept"], "versions": versions}
        )
        session.out.print(
            f"trial of {scope} with {with_what}: ledger {shown['ledger_id']}, "
            f"{shown['kept']:,} kept of {shown['visited']:,} visited; no current selection moved.",
            markup=False,
        )
        for budget, version in versions.items():
            session.out.print(f"  budget {budget:,}: version {version}")
            if (n_rows := shown["rows"][str(budget)]) < budget:
                session.err.print(
                    f"warning: {scope}: {n_rows:,} rows, not {budget:,}: no more can be selected."
                )
    session.curation.serving()
    return {"trials": trials}


def _dry_run(session: Session, plan: Plan) -> None:
    from deita_assets.defs.automation.staleness import SOURCE_ASSETS
    from deita_assets.partitions import subset_key

    stale = session.curation.stale
    wanted = SOURCE_ASSETS if plan.kind == "source" else SOURCE_ASSETS[:-1]
    would: dict[str, list[str]] = {
        source: stale.stale_source_assets(source, wanted) for source in plan.sources
    }
    read = ("raw_pool", "embeddings") if plan.compares_vectors else ("raw_pool",)
    would |= {s: stale.stale_source_assets(s, read) for s in plan.avoided}
    below = any(would.values())
    for scope in plan.scopes:
        pooled = plan.kind == "mixture" and (below or stale.is_stale("pooled_ledger", scope))
        if pooled:
            would.setdefault(scope, []).append("pooled_ledger")
        asset = "selected_subset" if plan.kind == "source" else "pooled_subset"
        above = pooled or "selection_ledger" in would.get(scope, [])
        for budget in plan.budgets[scope]:
            key = str(subset_key(plan.kind, scope, budget))
            if above or stale.is_stale(asset, key):
                would.setdefault(key, []).append(asset)
    would = {partition: assets for partition, assets in would.items() if assets}
    for partition, assets in would.items():
        session.out.print(f"  {partition}: {' -> '.join(assets)}", markup=False)
    session.out.print("Nothing was run." if would else "Everything is current.")
    session.emit({"stale": would})
