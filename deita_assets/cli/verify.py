"""`deita-assets verify`: an audit of everything that a home holds, and repair of what is damaged.

What belongs here: the command and what it prints. What does not: looking (engines.verify) or
mending (engines.verify_repair).
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from time import monotonic
from typing import TYPE_CHECKING, Any

import click

from deita_assets.cli.session import Session, printable, with_session
from deita_assets.errors import NotFoundError

if TYPE_CHECKING:
    from deita_assets.engines.verify_parts import Audit
    from deita_assets.stores.warehouse import Warehouse

#: Seconds between two lines about one part.
_EVERY_S = 10.0


@click.command("verify")
@click.option("--repair", is_flag=True, help="Mend what is damaged; only damaged rows are computed again.")
@with_session
def command(session: Session, repair: bool) -> None:
    """Read every store and every published file to its end, and compare each row with its checksum, hash or account.

    Nothing changes without `--repair`. With it, damaged scores and vectors are taken out and computed again, damaged
    subset folders are published again under their own version, and `serving.duckdb` is copied again; what cannot be
    mended is named with what to do. Exit code 0 when everything is sound, 1 when not.
    """
    from deita_assets.engines.verify import verify
    from deita_assets.engines.verify_repair import only_repair
    from deita_assets.stores.warehouse import Warehouse

    if not session.home.warehouse.exists():
        raise NotFoundError(f"{session.home.root} holds no warehouse.", cure="Check `--home`.")
    warehouse = Warehouse(session.home)
    with only_repair(session.home) if repair else nullcontext():
        audit = verify(warehouse, _Lines(session))
        document: dict[str, Any] = audit.values()
        if repair and (not audit.sound or audit.unchecked):
            audit, document = _mended(session, warehouse, audit)
    _show(session, audit)
    session.emit(document)
    if not audit.sound:
        sys.exit(1)


def _mended(session: Session, warehouse: Warehouse, audit: Audit) -> tuple[Audit, dict[str, Any]]:
    """Repair, and look again; returns what is so now, and the same as JSON values with what was found and failed."""
    from deita_assets.engines.verify import verify
    from deita_assets.engines.verify_repair import mendable

    if not mendable(audit):
        session.err.print("Nothing was repaired: the warehouse has to be whole first.")
        return audit, audit.values()
    _show_damage(session, audit)
    failed = _repair(session, warehouse, audit)
    after = verify(warehouse, _Lines(session))
    return after, {**after.values(), "found": audit.values()["damage"], "failed": failed}


def _repair(session: Session, warehouse: Warehouse, audit: Audit) -> list[str]:
    """Mend what was found by the ordinary assets of this home; returns what could not be, in words."""
    from deita_assets.defs.selection.subsets import provenance
    from deita_assets.engines.verify_repair import Means, repair

    def on_step(step: str) -> None:
        session.err.print(f"  {printable(step)}", markup=False)

    means = Means(
        run=lambda source, assets: session.curation.again(source, assets),
        publish=lambda: session.curation.serving(),
        provenance={**provenance(""), "published_again_by": "verify --repair"},
        show_rows=session.settings.sample_rows_in_ui,
        on_step=on_step,
        on_part=_Lines(session),
    )
    return repair(warehouse, audit, means)


class _Lines:
    """One line when a part begins, and further ones while it takes long."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._part, self._shown = "", monotonic()

    def __call__(self, part: str, done: int, total: int) -> None:
        now = monotonic()
        if part != self._part:
            self._session.err.print(f"  {part}", markup=False)
        elif now - self._shown < _EVERY_S:
            return
        else:
            self._session.err.print(f"  {part}: {done:,} of {total:,}", markup=False)
        self._part, self._shown = part, now


def _show(session: Session, audit: Audit) -> None:
    rows = [
        [part.name, part.looked_at, part.unit, audit.damaged(part.name), part.orphans] for part in audit.parts
    ]
    session.table("", ["part", "looked at", "", "damaged", "orphans"], rows)
    _show_damage(session, audit)
    for note in audit.notes:
        session.out.print(printable(f"note: {note}"), markup=False)
    session.out.print("Everything is sound." if audit.sound else "Something is damaged.")


def _show_damage(session: Session, audit: Audit) -> None:
    for one in audit.damage:
        session.out.print(printable(f"damaged: {one.part}: {one.message}"), markup=False)
        if one.named:
            more = f" and {len(one.ids) - len(one.named):,} more" if len(one.ids) > len(one.named) else ""
            session.out.print(printable(f"  {', '.join(one.named)}{more}"), markup=False)
        session.out.print(printable(f"  cure: {one.cure}"), markup=False)
