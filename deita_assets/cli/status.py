"""`deita-assets status`: what there is and what is stale.

What belongs here: the command. What does not: the rule of staleness.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import click

from deita_assets.cli.add import withheld_warning
from deita_assets.cli.session import Session, dictionaries, printable, with_session
from deita_assets.core.names import validate_source_name
from deita_assets.engines.landing import landing_paths, withheld_files
from deita_assets.errors import InvalidNameError, SettingsError, SourceFileError
from deita_assets.stores.alerts import FILE as ALERTS
from deita_assets.stores.alerts import alerts_since
from deita_assets.stores.pool import live_files
from deita_assets.stores.serving import open_serving

if TYPE_CHECKING:
    from deita_assets.defs.automation.staleness import Staleness

_SOURCES = """
select s.source, count(p.sample_id) as rows, s.licence,
       (select count(*) from quarantine q where q.source = s.source) as quarantined,
       (select count(evol_score) from scored_pool k where k.source = s.source) as scored
from store.source s left join store.pool_row p on p.source = s.source group by s.source, s.licence order by s.source
"""
_HEADS = """
select scope_kind, scope, budget, n_rows, selection_version, created_at
from selections where is_head order by scope_kind, scope, budget
"""


@click.command("status")
@with_session
def command(session: Session) -> None:
    """Sources with rows, scores and stale assets; current selections."""
    with open_serving(session.home) as con:
        sources, heads = dictionaries(con, _SOURCES), dictionaries(con, _HEADS)
        for row in sources:
            row["withheld_files"] = withheld_files(
                session.home, row["source"], live_files(con, row["source"])
            )
    stale = session.curation.stale
    for row in sources:
        row["stale"] = _stale_assets(session, stale, row["source"], _wanted(heads, row["source"]))
    above = {row["source"]: row["stale"] for row in sources}
    for head in heads:
        head["stale"] = stale_head(stale, head, above)
    waiting = [
        f"{name}/ ({why})" for name, why in _not_ingested(session, {row["source"] for row in sources}).items()
    ]
    session.out.print(f"home {session.home.root}", markup=False)
    session.table(
        "", ["source", "rows", "scored", "quarantined", "licence", "stale"],
        [
            [
                r["source"], r["rows"], r["scored"], r["quarantined"], r["licence"] or "unknown",
                ", ".join(r["stale"]) or "-",
            ]
            for r in sources
        ],
    )  # fmt: skip
    session.out.print("")
    session.table(
        "", ["scope", "kind", "budget", "rows", "version", "made (UTC)", "stale"],
        [
            [
                h["scope"], h["scope_kind"], h["budget"], h["n_rows"], h["selection_version"],
                f"{h['created_at']:%Y-%m-%d %H:%M}", h["stale"],
            ]
            for h in heads
        ],
    )  # fmt: skip
    for row in sources:
        if row["withheld_files"]:
            warning = withheld_warning(session, row["source"], row["withheld_files"])
            session.err.print(f"warning: {warning}", markup=False)
    if waiting:
        session.out.print(f"\nin landing, not ingested: {', '.join(waiting)}", markup=False)
    alerts = len(alerts_since(session.home, dt.datetime.now(dt.UTC) - dt.timedelta(hours=24)))
    if alerts:
        session.err.print(f"{alerts} alerts in the last 24 h, see {session.home.root / ALERTS}", markup=False)
    session.emit(
        {
            "home": str(session.home.root), "sources": sources, "selections": heads, "not_ingested": waiting,
            "alerts_in_24_h": alerts,
        }
    )  # fmt: skip


def stale_head(stale: Staleness, head: dict[str, Any], above: dict[str, list[str]]) -> bool:
    """True when a selection no longer follows from what its scope holds and the settings say.

    `above`: the stale assets of each source; what stands on them is stale too.
    """
    from deita_assets.partitions import subset_key

    kind, scope = head["scope_kind"], head["scope"]
    ledger, subset = (
        ("selection_ledger", "selected_subset") if kind == "source" else ("pooled_ledger", "pooled_subset")
    )
    key = str(subset_key(kind, scope, head["budget"]))
    try:
        return (
            _stands_on_stale(stale, kind, scope, above)
            or stale.is_stale(ledger, scope)
            or stale.is_stale(subset, key)
            or stale.folder_is_gone(subset, key)
        )
    except SettingsError:  # its mixture is no longer defined
        return True


def _stands_on_stale(stale: Staleness, kind: str, scope: str, above: dict[str, list[str]]) -> bool:
    settings = stale.settings
    selected = [scope] if kind == "source" else settings.mixture_sources(scope, stale.pooled_sources())
    compared = settings.selection(kind, scope).contamination.similarity is not None
    looked_at = {"raw_pool", "embeddings"} if compared else {"raw_pool"}
    return any(above.get(source) for source in selected) or any(
        looked_at & set(above.get(source, ())) for source in settings.scope_exclusion_sets(kind, scope)
    )


def _not_ingested(session: Session, known: set[str]) -> dict[str, str]:
    """Folders of landing that are no source yet, and why."""
    waiting: dict[str, str] = {}
    for folder in sorted(path for path in session.home.landing.iterdir() if path.is_dir()):
        try:
            validate_source_name(folder.name)
        except InvalidNameError as error:
            waiting[printable(folder.name)] = error.message
            continue
        if folder.name not in known:
            try:
                waiting[folder.name] = "new" if landing_paths(session.home, folder.name) else "empty"
            except SourceFileError as error:  # one odd file there hides nothing of the other sources
                waiting[folder.name] = printable(error.message)
    return waiting


def _stale_assets(session: Session, stale: Staleness, source: str, wanted: tuple[str, ...]) -> list[str]:
    """Stale assets of a source; where its landing folder cannot be read, all are, and a warning says why."""
    try:
        return stale.stale_source_assets(source, wanted)
    except SourceFileError as error:
        session.err.print(f"warning: {error}", markup=False)
        return list(wanted)


def _wanted(heads: list[dict[str, object]], source: str) -> tuple[str, ...]:
    """Assets that are expected of a source: its own ledger only where a selection of it is kept."""
    from deita_assets.defs.automation.staleness import SOURCE_ASSETS

    selected = any(head["scope_kind"] == "source" and head["scope"] == source for head in heads)
    return SOURCE_ASSETS if selected else SOURCE_ASSETS[:-1]
