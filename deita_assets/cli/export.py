"""`deita-assets export`: a selection version, copied out.

What belongs here: the command. What does not: the writers (exports).
"""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from deita_assets.cli.look import find_version
from deita_assets.cli.session import Session, with_session
from deita_assets.errors import UsageError
from deita_assets.stores.serving import open_serving
from deita_assets.stores.subsets import check_folder


@click.command("export")
@click.argument("version")
@click.option("--format", "format_", type=click.Choice(["jsonl"]), default="jsonl", show_default=True)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="A folder that does not exist yet."
)
@with_session
def command(session: Session, version: str, format_: str, out: Path) -> None:
    """Write VERSION (a prefix of 6 or more characters) to a new folder: train.jsonl in chat `messages` form."""
    if out.exists():
        raise UsageError(f"{out} exists.", cure="Name a folder that does not: nothing is ever overwritten.")
    with open_serving(session.home) as con:
        found = find_version(con, version)
    folder = session.home.root / found["directory"]
    check_folder(folder)
    partial = out.with_name(f".{out.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name in ("train.jsonl", "manifest.json"):
        shutil.copyfile(folder / name, partial / name)
    partial.rename(out)
    session.out.print(
        f"{found['n_rows']:,} rows of {found['selection_version']} in {out / 'train.jsonl'}", markup=False
    )
    session.emit(
        {
            "selection_version": found["selection_version"],
            "n_rows": found["n_rows"],
            "out": str(out),
            "format": format_,
        }
    )
