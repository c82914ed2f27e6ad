"""`deita-assets add`: files into a source.

What belongs here: the command and what it prints. What does not: ingest.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from deita_assets.cli.session import Session, one_line, with_session
from deita_assets.core.names import validate_source_name
from deita_assets.errors import DeitaError, NotFoundError, UsageError


@click.command("add")
@click.argument("source")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
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
    paths: tuple[Path, ...],
    format_: str | None,
    maps: tuple[str, ...],
    licence: str | None,
    accept_removals: bool,
    dry_run: bool,
) -> None:
    """Copy files into SOURCE's landing folder and ingest them.

    JSONL, JSON arrays and Parquet, plain, .gz or .zst. The same files again change nothing.
    """
    validate_source_name(source)
    if source in session.settings.mixture_names:
        raise UsageError(f"{source!r} is a mixture.", cure="Choose another name for the source.")
    field_map = _field_map(maps)
    if dry_run:
        _dry_run(session, source, paths, format_, field_map)
        return
    from deita_assets.engines.landing import copy_into_landing

    session.home.create()
    copy_into_landing(session.home, source, paths)
    report = ingest(session, source, format_, field_map, licence, accept_removals)
    show_report(session, report)
    session.emit(report)
    if report["in_pool"] == 0:
        raise DeitaError(
            f"source {source!r}: none of its {report['rows_read']:,} rows could be read.",
            cure=f"See `deita-assets quarantine --source {source}`; name the fields with --map FIELD=NAME.",
        )


def ingest(
    session: Session,
    source: str,
    format_: str | None = None,
    field_map: dict[str, str] | None = None,
    licence: str | None = None,
    accept_removals: bool = False,
) -> dict[str, Any]:
    """Run raw_pool for a source and publish; returns its accounting."""
    config: dict[str, Any] = {"accept_removals": accept_removals}
    config |= {"format": format_} if format_ else {}
    config |= {"field_map": field_map} if field_map else {}
    config |= {"licence": licence} if licence else {}
    session.curation.register("source", [source])
    session.curation.source(source, ("raw_pool",), {"raw_pool": config})
    session.curation.serving()
    return _accounting(session, source)


def show_report(session: Session, report: dict[str, Any]) -> None:
    """One line of accounting, and the reasons of what was quarantined."""
    session.out.print(
        f"[bold]{report['source']}[/bold] ({report['format'] or 'format not recognised'}): "
        f"{report['rows_read']:,} rows read = {report['in_pool']:,} in pool + "
        f"{report['exact_duplicates']:,} exact duplicates + {report['quarantined']:,} quarantined"
    )
    if report["quarantine"]:
        session.out.print(
            "  quarantined: " + ", ".join(f"{r} {n:,}" for r, n in report["quarantine"].items())
        )


def _accounting(session: Session, source: str) -> dict[str, Any]:
    from deita_assets.stores import pool
    from deita_assets.stores.warehouse import Warehouse

    with Warehouse(session.home).read(f"add {source}: counts") as con:
        report = pool.account(con, source)
    return {
        "source": source,
        "format": report.format,
        "rows_read": report.n_read,
        "in_pool": report.n_pool,
        "exact_duplicates": report.n_exact_duplicates,
        "quarantined": report.n_quarantined,
        "quarantine": dict(report.quarantine_reasons),
        "pool_version": report.pool_version,
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
    from deita_assets.engines.staging import preview

    files = [file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    missing = [str(file) for file in files if not file.is_file()]
    if missing or not files:
        raise NotFoundError(f"no such file: {', '.join(missing) or 'none given'}.", cure="Check the path.")
    seen = preview(files, format_, field_map)
    rejected = sum(seen.reasons.values())
    session.out.print(
        f"[bold]{source}[/bold]: format {seen.format or 'not recognised'}, {seen.n_read:,} rows, "
        f"{rejected:,} would be quarantined. Nothing was written."
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
