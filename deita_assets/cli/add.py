"""`deita-assets add`: files, or a dataset of the hub, into a source.

What belongs here: the command and what it prints. What does not: ingest, and what is different with a dataset of the
hub (cli.add_hub).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from deita_assets.cli.add_hub import add_hub, one_hub_id, show_hub_files
from deita_assets.cli.session import Session, one_line, with_session
from deita_assets.core.hub_names import is_hub_id
from deita_assets.core.names import validate_source_name
from deita_assets.core.quarantine_limit import malformed_only
from deita_assets.errors import DeitaError, NotFoundError, UsageError


@click.command("add")
@click.argument("source")
@click.argument("paths", nargs=-1)
@click.option(
    "--format", "format_", help="sharegpt, messages, alpaca or completion; recognised when not given."
)
@click.option(
    "--map", "maps", multiple=True, metavar="FIELD=NAME", help="Our field FIELD is called NAME in the file."
)
@click.option("--licence", help="Licence of the source, such as CC-BY-4.0.")
@click.option("--accept-removals", is_flag=True, help="Let more than 20 % of the rows leave the pool.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show the format, three conversations and the reject count; write nothing.",
)
@with_session
def command(
    session: Session,
    source: str,
    paths: tuple[str, ...],
    format_: str | None,
    maps: tuple[str, ...],
    licence: str | None,
    accept_removals: bool,
    dry_run: bool,
) -> None:
    """Copy files into SOURCE's landing folder and ingest them.

    JSONL, JSON arrays and Parquet, plain, .gz or .zst; or hf://datasets/ORG/NAME@REVISION[/PATH], one dataset of the
    hub at a full commit id. The same files again change nothing.
    """
    validate_source_name(source)
    if source in session.settings.mixture_names:
        raise UsageError(f"{source!r} is a mixture.", cure="Choose another name for the source.")
    field_map = _field_map(maps)
    hub = one_hub_id(session, source, paths) if any(map(is_hub_id, paths)) else None
    files = () if hub else tuple(map(Path, paths))
    if dry_run:
        if hub:
            show_hub_files(session, source, hub)
        else:
            _dry_run(session, source, files, format_, field_map)
        return
    given = {
        "accept_removals": accept_removals,
        "format": format_,
        "field_map": field_map,
        "licence": licence,
    }
    config = {name: value for name, value in given.items() if value}
    report = add_hub(session, source, hub, config) if hub else add_files(session, source, files, config)
    if report["in_pool"] == 0 and report["quarantined"] and not accept_removals:
        raise _nothing_read(session, source, report)
    show_report(session, report)
    session.emit(report)


def _nothing_read(session: Session, source: str, report: dict[str, Any]) -> DeitaError:
    """Why no row of a source came into its pool, and what to do about it."""
    from deita_assets.engines.landing import landing_paths
    from deita_assets.engines.staging import questions_cure

    cure = f"See `deita-assets quarantine --source {source}`; name the fields with --map FIELD=NAME."
    if source not in session.settings.exclusion_sources:
        cure = questions_cure(source, landing_paths(session.home, source)) or cure
    return DeitaError(
        f"source {source!r}: none of its {report['rows_read']:,} rows could be read "
        f"({_counted(report['quarantine'])}).",
        cure=cure,
    )


def add_files(
    session: Session, source: str, paths: tuple[Path, ...], config: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Put files into landing, ingest them, publish; returns the accounting of the source.

    When a file cannot be read as a whole, what was put in place newly is taken out again.
    """
    from deita_assets.engines.hub import refuse_hub_places
    from deita_assets.engines.landing import copy_into_landing, files_of, landing_paths

    refuse_hub_places(session.home, source, files_of(paths))
    session.home.create()
    landed = copy_into_landing(session.home, source, paths)
    standing = landing_paths(session.home, source)
    if not standing and source not in session.known_sources():
        raise NotFoundError(
            f"source {source!r}: no file given.", cure=f"Run `deita-assets add {source} PATH`."
        )
    folder = session.home.source_landing(source)
    by_hand = [str(one.path.relative_to(folder)) for one in landed if one.state == "replaced"]

    def take_out() -> None:
        for one in landed:
            if one.state == "new":
                one.path.unlink(missing_ok=True)

    return ingest_landed(session, source, {**(config or {}), "by_hand": by_hand}, take_out)


def ingest_landed(
    session: Session, source: str, config: dict[str, Any], take_out: Callable[[], None]
) -> dict[str, Any]:
    """Ingest what was put into landing, and publish; `take_out` undoes it when a file cannot be read as a whole."""
    known = source in session.known_sources()
    session.curation.register("source", [source])
    try:
        session.curation.source(source, ("raw_pool",), {"raw_pool": config})
    except DeitaError:
        take_out()
        if not known:
            session.instance.delete_dynamic_partition("source", source)
        raise
    session.curation.serving()
    return accounting(session, source)


def show_report(session: Session, report: dict[str, Any]) -> None:
    """One line of accounting, and the reasons of what was quarantined."""
    session.out.print(
        f"[bold]{report['source']}[/bold] ({report['format'] or 'format not recognised'}): "
        f"{report['rows_read']:,} rows read = {report['in_pool']:,} in pool + "
        f"{report['exact_duplicates']:,} exact duplicates + {report['quarantined']:,} quarantined"
        + (f" + {report['taken_down']:,} taken down" if report["taken_down"] else "")
    )
    if report["quarantine"]:
        session.out.print(f"  quarantined: {_counted(report['quarantine'])}")
    if report["withheld_files"]:
        warning = withheld_warning(session, report["source"], report["withheld_files"])
        session.err.print(f"warning: {warning}", markup=False)


def withheld_warning(session: Session, source: str, files: list[str]) -> str:
    """What to say of files that left landing while their rows are held in the pool."""
    if all((session.home.withdrawn / source / uri).is_file() for uri in files):
        return (
            f"{source}: {', '.join(files)}: a withdrawal was cut off after the files had been moved, and their rows "
            f"are still in the pool. To go on: deita-assets withdraw {source}"
            f"{''.join(f' {shlex.quote(uri)}' for uri in files)}"
        )
    return (
        f"{source}: {', '.join(files)} left landing, but more than 20 % of the rows would go with it, so "
        f"they stay in the pool. If this is meant: deita-assets add {source} --accept-removals"
    )


def _counted(reasons: dict[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())


def accounting(session: Session, source: str) -> dict[str, Any]:
    """Counts of a source as it stands, checked against each other, with the files whose rows are held back."""
    from deita_assets.engines.landing import withheld_files
    from deita_assets.stores import pool
    from deita_assets.stores.warehouse import Warehouse

    with Warehouse(session.home).read(f"add {source}: counts") as con:
        report = pool.account(con, source)
        live = pool.live_files(con, source)
    withheld = withheld_files(session.home, source, live)
    return {
        "source": source,
        "format": report.format,
        "rows_read": report.n_read,
        "in_pool": report.n_pool,
        "exact_duplicates": report.n_exact_duplicates,
        "quarantined": report.n_quarantined,
        "quarantine": dict(report.quarantine_reasons),
        "taken_down": report.n_taken,
        "pool_version": report.pool_version,
        "withheld_files": withheld,
    }


def _field_map(maps: tuple[str, ...]) -> dict[str, str]:
    pairs = [one.partition("=") for one in maps]
    for field, equals, name in pairs:
        if not (field and equals and name):
            raise UsageError(
                f"--map {field}{equals}{name}: expected FIELD=NAME.", cure="For example --map output=reply."
            )
    return {field: name for field, _, name in pairs}


def _dry_run(
    session: Session, source: str, paths: tuple[Path, ...], format_: str | None, field_map: dict[str, str]
) -> None:
    from deita_assets.engines.landing import files_of
    from deita_assets.engines.staging import preview

    files = files_of(paths)
    if not files:
        raise NotFoundError("no file given.", cure="Name at least one file or folder.")
    chosen = session.settings.source(source)
    recorded = _recorded(session, source)
    seen = preview(
        files,
        format_ or chosen.format or recorded[0],
        field_map or chosen.field_map or recorded[1],
        answers_required=source not in session.settings.exclusion_sources,
    )
    rejected = sum(seen.reasons.values())
    n_malformed = sum(malformed_only(seen.reasons).values())
    too_many = session.settings.malformed_allowed(source).exceeded(n_malformed, seen.n_read)
    session.out.print(
        f"[bold]{source}[/bold]: format {seen.format or 'not recognised'}, {seen.n_read:,} rows, "
        f"{rejected:,} would be quarantined{', too many to be added' if too_many else ''}. Nothing was written."
    )
    for reason, count in seen.reasons.most_common():
        session.out.print(f"  {reason} {count:,}")
    for conversation in seen.conversations:
        session.out.print("")
        for message in conversation.messages:
            session.out.print(
                f"  {message.role:>9}: {one_line(message.content or '(tool call)')}", markup=False
            )
    session.emit(
        {
            "source": source,
            "format": seen.format,
            "rows_read": seen.n_read,
            "quarantine": dict(seen.reasons),
            "conversations": [
                json.loads(conversation.canonical_json()) for conversation in seen.conversations
            ],
        }
    )


def _recorded(session: Session, source: str) -> tuple[str | None, dict[str, str]]:
    """(format, field map) that earlier ingests of a source recorded."""
    from deita_assets.stores import pool
    from deita_assets.stores.warehouse import Warehouse

    if not session.home.warehouse.exists():
        return None, {}
    with Warehouse(session.home).read(f"add {source}: dry run") as con:
        format_, field_map, _ = pool.known_source(con, source)
    return format_, field_map
