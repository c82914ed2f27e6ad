"""`deita-assets takedown`: rows out of every future selection, for good.

What belongs here: the command, its question and what it prints. What does not: the transaction (engines.takedown).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from deita_assets.cli.session import Session, one_line, with_session
from deita_assets.errors import DeitaError, UsageError

if TYPE_CHECKING:
    from deita_assets.engines.takedown import Request

#: Rows and versions shown one by one; `--json` has all.
_SHOWN = 20


@click.command("takedown")
@click.argument("ids", nargs=-1, required=True)
@click.option("--reason", default="no reason given", show_default=True, help="Recorded with the rows.")
@click.option("--yes", is_flag=True, help="Do not ask: there is no way back.")
@click.option("--dry-run", is_flag=True, help="Show which rows and versions it is about; write nothing.")
@with_session
def command(session: Session, ids: tuple[str, ...], reason: str, yes: bool, dry_run: bool) -> None:
    """Keep rows out of every future pool and selection, by id or 6 or more characters of one. There is no way back.

    Their content is taken down in every source that holds it, now or later. Published versions stay as they are and
    are named; the text stays in the store, so that they can still be explained and reproduced.
    """
    from deita_assets.engines.takedown import find_rows, take_down
    from deita_assets.stores.warehouse import Warehouse

    warehouse = Warehouse(session.home.create())
    request = find_rows(warehouse, ids)
    _show_request(session, request)
    if dry_run:
        session.out.print("Nothing was written.")
        session.emit(_document(session, request, done=False))
        return
    if request.new:
        _confirm(request, yes)
        take_down(warehouse, request.contents, reason)
    failed = _bring_up_to_date(session, request)
    request = find_rows(warehouse, ids)
    _show_outcome(session, request)
    if failed:
        raise DeitaError(
            f"the rows are taken down, but {', '.join(failed)} could not be read anew: {failed[next(iter(failed))]}",
            cure="See to that, then run `deita-assets curate`; nothing has to be taken down again.",
        )
    session.emit(_document(session, request, done=True))


def _confirm(request: Request, yes: bool) -> None:
    """Ask, where somebody can answer.

    Raises:
        UsageError: nobody can, and `--yes` was not given.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            f"{len(request.new):,} rows would be taken down for good, and nobody is there to be asked.",
            cure="Give --yes to do it, or --dry-run to see which rows they are.",
        )
    click.confirm(f"Take {len(request.new):,} rows down for good?", abort=True, err=True)


def _bring_up_to_date(session: Session, request: Request) -> dict[str, str]:
    """Materialise `raw_pool` of the rows' sources, so that all below shows as stale; source -> what went wrong."""
    failed = {}
    session.curation.register("source", request.sources)
    for source in request.sources:
        try:
            session.curation.source(source, ("raw_pool",))
        except DeitaError as error:
            failed[source] = str(error)
    session.curation.serving()
    return failed


def _show_request(session: Session, request: Request) -> None:
    for row in request.rows[:_SHOWN]:
        state = "in the pool" if row.in_pool else "not in the pool"
        if row.taken_at:
            state = f"taken down already, {row.taken_at:%Y-%m-%d} ({row.reason})"
        session.out.print(f"  {row.sample_id}  {state}\n    {one_line(row.instruction)}", markup=False)
    if len(request.rows) > _SHOWN:
        session.out.print(f"  and {len(request.rows) - _SHOWN:,} more rows")


def _show_outcome(session: Session, request: Request) -> None:
    session.out.print(
        f"{len(request.rows):,} rows of {', '.join(request.sources)} are taken down: they are in no pool, also when "
        "their file is added again, and content equal to theirs is kept out of every source.",
        markup=False,
    )
    if not request.versions:
        session.out.print("No selection version holds them.")
        return
    session.out.print(f"{len(request.versions):,} published versions hold them, and stay as they are:")
    for one in request.versions[:_SHOWN]:
        current = ", current and stale" if one.is_head else ""
        there = one.directory if (session.home.root / one.directory).exists() else "folder is gone"
        session.out.print(
            f"  {one.selection_version}  {one.scope_kind} {one.scope}, budget {one.budget:,}, {one.n_rows:,} "
            f"rows{current}: {there}",
            markup=False,
        )
    if len(request.versions) > _SHOWN:
        session.out.print(f"  and {len(request.versions) - _SHOWN:,} more; --json names all")
    session.out.print(
        "Run `deita-assets curate` for current selections without them. Where the law demands it, delete these "
        "folders, exports of these versions and the input files by hand; the text also stays in warehouse.duckdb "
        "and serving.duckdb."
    )


def _document(session: Session, request: Request, *, done: bool) -> dict[str, Any]:
    return {
        "done": done,
        "rows": [
            {
                "sample_id": row.sample_id, "source": row.source, "content_sha256": row.content_sha256,
                "in_pool": row.in_pool, "taken_at": row.taken_at, "reason": row.reason,
            }
            for row in request.rows
        ],
        "versions": [
            {**vars(one), "directory_exists": (session.home.root / one.directory).exists()}
            for one in request.versions
        ],
    }  # fmt: skip
