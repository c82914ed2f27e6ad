"""`deita-assets withdraw`: files out of a source; reversible.

What belongs here: the command, its order of steps and what it prints. What does not: moving files, and ingest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from deita_assets.cli.add import accounting, show_report
from deita_assets.cli.session import Session, with_session
from deita_assets.core.names import validate_source_name
from deita_assets.errors import NotFoundError
from deita_assets.stores.serving import publish

if TYPE_CHECKING:
    from deita_assets.engines.withdrawal import Withdrawn
    from deita_assets.stores.takedowns import HoldingVersion


@dataclass(frozen=True)
class Plan:
    """What taking some files out of a source means for its pool as it stands.

    Attributes:
        uris: the files.
        leaving: rows of the pool that stand in these files alone.
        staying: rows of these files that another file of the source holds too.
        versions: selections that hold a row that leaves.
        live: files that counted in the store.
    """

    uris: list[str]
    leaving: list[str]
    staying: list[str]
    versions: list[HoldingVersion]
    live: frozenset[str]


@click.command("withdraw")
@click.argument("source")
@click.argument("files", nargs=-1)
@click.option("--dry-run", is_flag=True, help="Show what would leave; move and write nothing.")
@with_session
def command(session: Session, source: str, files: tuple[str, ...], dry_run: bool) -> None:
    """Take FILES, or all files, of SOURCE out of landing, and their rows out of its pool.

    They are moved to withdrawn/SOURCE/ in the home; `deita-assets add SOURCE` with them brings the same rows back.
    """
    validate_source_name(source)
    try:
        plan = _plan(session, source, files)
    except NotFoundError:
        if (
            session.home.warehouse.exists()
        ):  # a withdrawal killed at its very end has ingested, and not published
            publish(session.home)
        raise
    if dry_run:
        _show(session, source, plan, len(plan.leaving), "would leave")
        session.out.print("Nothing was moved or written.")
        session.emit(_document(source, plan, [], len(plan.leaving)))
        return
    moved = _withdraw(session, source, plan)
    report = accounting(session, source)
    n_left = len(plan.leaving) - _still_there(session, source, plan.leaving)
    _show(session, source, plan, n_left, "left")
    show_report(session, report)
    if moved:
        folder = session.home.withdrawn / source
        session.out.print(
            f"The files are in {folder}; to take it back: deita-assets add {source} {folder}", markup=False
        )
    session.emit({**_document(source, plan, moved, n_left), "pool": report})


def _plan(session: Session, source: str, files: tuple[str, ...]) -> Plan:
    from deita_assets.engines.withdrawal import chosen_files, withdrawable
    from deita_assets.stores import pool, takedowns
    from deita_assets.stores.warehouse import Warehouse

    with Warehouse(session.home.create()).read(f"withdraw from {source}: what it holds") as con:
        live = pool.live_files(con, source)
        there = withdrawable(session.home, source, live)
        uris = chosen_files(session.home, source, files, there)
        leaving, staying = pool.rows_of_files(con, source, uris)
        versions = takedowns.versions_holding(con, leaving)
        return Plan(uris, leaving, staying, versions, frozenset(uri for uri, _ in live))


def _withdraw(session: Session, source: str, plan: Plan) -> list[Withdrawn]:
    """Move the files and ingest what is left; when that fails, the files go back."""
    from deita_assets.engines.withdrawal import move_out

    session.curation.register("source", [source])
    moved = move_out(session.home, source, plan.uris)
    try:
        session.curation.source(source, ("raw_pool",), {"raw_pool": {"by_hand": plan.uris}})
    except BaseException:
        _undo(session, source, plan, moved)
        raise
    session.curation.serving()
    return moved


def _undo(session: Session, source: str, plan: Plan, moved: list[Withdrawn]) -> None:
    """Put files back, but for those that the ingest had let go of before something else failed."""
    from deita_assets.engines.withdrawal import put_back
    from deita_assets.stores import pool
    from deita_assets.stores.warehouse import Warehouse

    with Warehouse(session.home).read(f"withdraw from {source}: what counts") as con:
        let_go = plan.live - {uri for uri, _ in pool.live_files(con, source)}
    back = [one for one in moved if one.uri not in let_go]
    left = put_back(session.home, source, back)
    for one in left:
        session.err.print(f"warning: {one.path} stays there: another file took its place.", markup=False)
    if len(back) > len(left):
        session.err.print(
            f"{len(back) - len(left)} files were put back into landing/{source}/.", markup=False
        )


def _still_there(session: Session, source: str, rows: list[str]) -> int:
    """Rows that were to leave and are still in the pool: an ingest that ran meanwhile may have found them elsewhere."""
    from deita_assets.stores import pool
    from deita_assets.stores.warehouse import Warehouse

    with Warehouse(session.home).read(f"withdraw from {source}: what is left") as con:
        return len(pool.rows_in_pool(con, source) & set(rows))


def _show(session: Session, source: str, plan: Plan, n_left: int, verb: str) -> None:
    session.out.print(
        f"{source}: {len(plan.uris):,} files ({', '.join(plan.uris[:5])}{', ...' if len(plan.uris) > 5 else ''}): "
        f"{n_left:,} rows {verb} the pool, {len(plan.staying):,} stay because another file holds them too",
        markup=False,
    )
    for version in (version for version in plan.versions if version.is_head):
        session.out.print(
            f"  {version.scope_kind} {version.scope}, budget {version.budget:,}: {version.n_rows:,} rows of its "
            f"current selection {version.selection_version} {verb}; it is stale until the next curate",
            markup=False,
        )


def _document(source: str, plan: Plan, moved: list[Withdrawn], n_left: int) -> dict[str, Any]:
    places = {one.uri: str(one.path) for one in moved}
    return {
        "source": source,
        "files": [{"file": uri, "moved_to": places.get(uri)} for uri in plan.uris],
        "rows_left": n_left,
        "rows_staying": len(plan.staying),
        "selections": [
            {
                "selection_version": one.selection_version, "scope_kind": one.scope_kind, "scope": one.scope,
                "budget": one.budget, "is_head": one.is_head, "rows_left": one.n_rows, "directory": one.directory,
            }
            for one in plan.versions
        ],
    }  # fmt: skip
