"""`deita-assets export`: a selection version, written for a trainer.

What belongs here: the command. What does not: reading, checking and writing (engines.export).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deita_assets.cli.look import find_version
from deita_assets.cli.session import Session, with_session
from deita_assets.errors import StoreError, UsageError
from deita_assets.stores.sql import statement

if TYPE_CHECKING:
    import duckdb

    from deita_assets.engines.export import Exported

_FORMATS = ("jsonl", "parquet", "hf", "sharegpt", "alpaca", "llamafactory")
#: Ids of skipped rows that are printed for each reason.
_SHOWN = 3


@click.command("export")
@click.argument("version")
@click.option("--format", "format_", type=click.Choice(_FORMATS), default="jsonl", show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="A folder that does not exist yet."
)
@click.option(
    "--columns", default="", metavar="NAMES",
    help="Ids and scores beside each row, with commas between: sample_id, source, position, rank, evol_score, "
    "complexity, quality, n_turns; or `all`.",
)  # fmt: skip
@click.option(
    "--shard-rows",
    type=click.IntRange(1),
    help="Rows of a Parquet file, of parquet and hf [default: one file].",
)
@with_session
def command(
    session: Session, version: str, format_: str, out: Path, columns: str, shard_rows: int | None
) -> None:
    """Write VERSION (a prefix of 6 or more characters) to a new folder, with a card that says how to train on it.

    jsonl: chat `messages`, the bytes of the version. parquet, hf: the same as Parquet, for any reader and for
    `datasets`. sharegpt, alpaca, llamafactory: what their trainers read; rows that they cannot hold are
    skipped, counted and named in skipped.jsonl.
    """
    from deita_assets.engines.export import export_version
    from deita_assets.stores.serving import open_serving

    if not out.name:
        raise UsageError(f"{out} has no name to give to a new folder.", cure="Write --out DIR.")
    with open_serving(session.home) as con:
        found = find_version(con, version)
        licences = _licences(session, con)
        taken_down = _taken_down(con, found["selection_version"])
        _refuse_unknown_files(con, found["selection_version"])
    done = export_version(
        session.home.root / found["directory"], out, form=format_, columns=_names(columns), shard_rows=shard_rows,
        licences=licences, require_licence=session.settings.require_licence,
    )  # fmt: skip
    warnings = _warnings(done, taken_down)
    _print(session, done, found, format_, out, warnings)
    session.emit(
        {
            "selection_version": found["selection_version"], "n_rows": done.n_rows, "out": str(out),
            "format": format_, "columns": _names(columns), "files": done.files,
            "skipped": [{"reason": reason, "rows": n, "sample_ids": list(done.skipped_ids[reason])}
                        for reason, n in done.skipped.items()],
            "left_out": done.left_out, "taken_down": taken_down, "warnings": warnings,
        }
    )  # fmt: skip


def _names(columns: str) -> list[str]:
    from deita_assets.exports.published import COLUMNS

    names = [name.strip() for name in columns.split(",") if name.strip()]
    return list(COLUMNS) if names == ["all"] else names


def _licences(session: Session, con: duckdb.DuckDBPyConnection) -> dict[str, str | None]:
    """Licences as they are known now: settings before the catalog."""
    known = dict(con.execute("select source, licence from store.source").fetchall())
    said = {name: source.licence for name, source in session.settings.sources.items() if source.licence}
    return {**known, **said}


def _taken_down(con: duckdb.DuckDBPyConnection, version: str) -> list[str]:
    """Rows of a version that were taken down after it was published, in its order."""
    rows = con.execute(
        "select m.sample_id from store.selection_member m semi join store.takedown t on t.sample_id = m.sample_id "
        "where m.selection_version = ? order by m.position",
        [version],
    ).fetchall()
    return [str(row[0]) for row in rows]


def _refuse_unknown_files(con: duckdb.DuckDBPyConnection, version: str) -> None:
    """Rows that nobody can trace go into no training.

    Raises:
        StoreError: a row of the version stands in no file and line on record.
    """
    nowhere = [
        str(name)
        for (name,) in con.execute(statement("checks/member_files"), {"version": version}).fetchall()
    ]
    if nowhere:
        raise StoreError(
            f"version {version}: {len(nowhere):,} of its rows stand in no file on record, expected a file and line of "
            f"each: {_few(nowhere)}.",
            cure="`deita-assets verify` says what is damaged; restore a backup of the warehouse, or select again.",
        )


def _warnings(done: Exported, taken_down: Sequence[str]) -> list[str]:
    found = []
    if done.unknown_licences:
        found.append(f"licence unknown: {', '.join(done.unknown_licences)}; the card says so.")
    if taken_down:
        found.append(
            f"{len(taken_down):,} of these rows were taken down since: {_few(taken_down)}. A later version is without "
            "them."
        )
    return found


def _few(ids: Sequence[str], n_all: int | None = None) -> str:
    n_all = len(ids) if n_all is None else n_all
    return ", ".join(ids[:_SHOWN]) + (", ..." if n_all > _SHOWN else "")


def _print(
    session: Session,
    done: Exported,
    found: Mapping[str, Any],
    format_: str,
    out: Path,
    warnings: Sequence[str],
) -> None:
    from deita_assets.engines.export import SHARDED
    from deita_assets.exports.forms import LEFT_OUT, SKIPS

    rows = out / ("data" if format_ in SHARDED else "train.jsonl")
    session.out.print(f"{done.n_rows:,} rows of {found['selection_version']} in {rows}", markup=False)
    for reason, n in done.skipped.items():
        told = f"skipped {n:,} ({reason}: {SKIPS[reason]}): {_few(done.skipped_ids[reason], n)}"
        session.out.print(f"  {told}", markup=False)
    if done.skipped:
        session.out.print(f"  all skipped ids are in {out / 'skipped.jsonl'}", markup=False)
    for code, n in done.left_out.items():
        session.out.print(f"  left out of {n:,} rows: {LEFT_OUT[code]}", markup=False)
    for warning in warnings:
        session.err.print(f"warning: {warning}", markup=False)
