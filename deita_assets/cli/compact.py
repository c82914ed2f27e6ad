"""`deita-assets compact`: upkeep of the stores.

What belongs here: the command and what it prints. What does not: the upkeep (engines.compact).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from deita_assets.cli.session import Session, with_session
from deita_assets.errors import UsageError

if TYPE_CHECKING:
    from deita_assets.engines.compact import HomeUpkeep


@click.command("compact")
@click.option("--dry-run", is_flag=True, help="Show how the stores lie; change nothing.")
@click.option(
    "--keep-hours", type=click.FloatRange(0), default=48.0, show_default=True,
    help="Editions of a table that were current within this time stay.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Allow less than an hour; refused while anything runs.")
@with_session
def command(session: Session, dry_run: bool, keep_hours: float, force: bool) -> None:
    """Merge small fragments of the score and embedding tables, drop their old editions, remove leftovers.

    Selections, ledgers and pools stay as they are and can be reproduced as before. Space of merged fragments is free
    when the edition before goes: at the next `compact` after the hours to keep.
    """
    from deita_assets.engines.compact import LEAST_HOURS, compact_home
    from deita_assets.stores.warehouse import Warehouse

    if keep_hours < LEAST_HOURS and not force:
        raise UsageError(
            f"--keep-hours {keep_hours:g}: a pass that runs now could lose what it reads.",
            cure=f"Give {LEAST_HOURS:g} or more; or --force, when nothing else uses this home.",
        )
    if keep_hours < LEAST_HOURS and not dry_run:
        _refuse_running(session)
    done = compact_home(Warehouse(session.home.create()), keep_hours=keep_hours, dry_run=dry_run)
    _show(session, done, keep_hours)
    session.emit(_document(done))


def _refuse_running(session: Session) -> None:
    import dagster as dg

    live = [
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    runs = session.instance.get_runs(dg.RunsFilter(statuses=live))
    if runs:
        raise UsageError(
            f"run {runs[0].run_id[:8]} is going on and may read what would be dropped.",
            cure="Wait for it, or keep an hour or more.",
        )


def _show(session: Session, done: HomeUpkeep, keep_hours: float) -> None:
    rows = []
    for table in done.tables:
        rows.append([table.name, "before" if table.after else "now", *_figures(table.before)])
        if table.after:
            rows.append(["", "after", *_figures(table.after)])
    session.table("", ["table", "", "rows", "fragments", "editions", "MB"], rows)
    if any(table.after and table.after.n_versions > 1 for table in done.tables):
        session.out.print(
            f"Editions replaced less than {keep_hours:g} hours ago stay for whoever reads them, with their bytes; "
            "run it again after that."
        )
    for left in done.leftovers:
        session.out.print(
            f"left by a killed process: {left.path.relative_to(session.home.root)}, {_mb(left.n_bytes)} MB"
            + (", removed" if done.warehouse_after else ""),
            markup=False,
        )
    for when, space in (("before", done.warehouse_before), ("after", done.warehouse_after)):
        if space:
            session.out.print(
                f"warehouse.duckdb {when}: {_mb(space.n_bytes)} MB, {_mb(space.free_bytes)} MB of it free for what "
                f"comes, {_mb(space.wal_bytes)} MB of write-ahead log"
            )


def _figures(state: Any) -> list[Any]:
    return [state.n_rows, state.n_fragments, state.n_versions, _mb(state.n_bytes)]


def _mb(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f}"


def _document(done: HomeUpkeep) -> dict[str, Any]:
    return {
        "tables": [
            {"table": one.name, "before": vars(one.before), "after": vars(one.after) if one.after else None}
            for one in done.tables
        ],
        "leftovers": [{"path": str(left.path), "n_bytes": left.n_bytes} for left in done.leftovers],
        "warehouse": {
            "before": vars(done.warehouse_before) if done.warehouse_before else None,
            "after": vars(done.warehouse_after) if done.warehouse_after else None,
        },
    }
