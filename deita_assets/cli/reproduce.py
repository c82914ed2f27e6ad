"""`deita-assets reproduce`: a published version made again from the stores, and compared.

What belongs here: the command and what it prints. What does not: rebuilding and comparing (engines.reproduce).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from deita_assets.cli.look import find_version
from deita_assets.cli.session import Session, printable, with_session
from deita_assets.errors import NotFoundError

if TYPE_CHECKING:
    from deita_assets.engines.reproduce import Reproduction


@click.command("reproduce")
@click.argument("version")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Keep the rebuilt files in a folder that does not exist yet.",
)
@click.option(
    "--device", default="cpu", show_default=True, help="Where vectors are compared: cpu, cuda, mps."
)
@with_session
def command(session: Session, version: str, out: Path | None, device: str) -> None:
    """Rebuild VERSION (a prefix of 6 or more characters) from the stores alone, and compare it with what was published.

    Prints `identical`, `same rows, other writer version` (both exit code 0) or `different` (exit code 1) with the first
    difference, and what is gone or altered of all that the version stands on. Nothing in the home changes.
    """
    from deita_assets.engines.reproduce import reproduce
    from deita_assets.stores.warehouse import Warehouse

    if not session.home.warehouse.exists():
        raise NotFoundError(f"{session.home.root} holds no warehouse.", cure="Check `--home`.")
    warehouse = Warehouse(session.home)
    with warehouse.read("reproduce: which version") as con:
        whole = str(find_version(con, version)["selection_version"])

    def on_step(step: str) -> None:
        session.err.print(f"  {escape(step)}")

    done = reproduce(warehouse, whole, out=out, device=device, on_step=on_step)
    _show(session, done)
    session.emit(done.values())
    if done.verdict == "different":
        sys.exit(1)


def _show(session: Session, done: Reproduction) -> None:
    spec, compared = done.spec, done.compared
    lines = [
        done.verdict,
        f"  {done.version}: {spec['scope_kind']} {spec['scope']}, budget {spec['budget']:,}",
    ]
    if done.difference:
        lines.append(f"  first difference: {done.difference.message}")
    lines += [f"  {one.state}: {one.message}" for one in done.missing]
    lines += [f"  note: {one.message}" for one in done.findings if one.state == "note"]
    if compared:
        shown = [f"{compared['rows']:,} rows", f"{compared['evol_scores']:,} equal evol_scores"]
        if "train_jsonl" in compared:
            shown.append(f"{compared['train_jsonl']['bytes']:,} bytes of train.jsonl")
            how = "byte for byte" if compared["parquet"]["same_bytes"] else "row by row"
            shown.append(f"Parquet {how}")
        lines.append(f"  compared: {', '.join(shown)}")
    if done.out:
        lines.append(f"  rebuilt files: {done.out}")
    for line in lines:
        session.out.print(printable(line), markup=False)
