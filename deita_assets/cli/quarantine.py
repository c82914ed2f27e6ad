"""`deita-assets quarantine`: what could not be read, and why.

What belongs here: the command. What does not: the reasons themselves (core.reasons).
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import click

from deita_assets.cli.session import Session, dictionaries, one_line, with_session
from deita_assets.errors import NotFoundError
from deita_assets.stores.refused import refused_rows, refused_sources
from deita_assets.stores.serving import open_serving


@click.command("quarantine")
@click.option("--source", help="Only this source.")
@click.option("--reasons", is_flag=True, help="List every reason code with its meaning and cure.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True)
@with_session
def command(session: Session, source: str | None, reasons: bool, limit: int) -> None:
    """Rows in quarantine with file, line, reason and detail; first those of an ingest that was refused for them."""
    if reasons:
        _reasons(session)
        return
    refused = [name for name in refused_sources(session.home) if source in (None, name)]
    rows = _refused(session, refused, limit)
    if session.home.serving.exists() or not refused:
        rows += _published(session, source, limit - len(rows), refused)
    session.table(
        "", ["source", "file", "line", "reason", "detail"],
        [[r["source"], r["file"], r["line"], r["reason"], one_line(r["detail"], 70)] for r in rows],
    )  # fmt: skip
    for name in refused:
        session.err.print(
            f"{name}: its last ingest was refused, so its rows here are of files that are not in the pool.",
            markup=False,
        )
    session.emit(rows)


def _refused(session: Session, sources: list[str], limit: int) -> list[dict[str, Any]]:
    rows = (row for name in sources for row in refused_rows(session.home, name))
    return list(islice(rows, limit))


def _published(session: Session, source: str | None, limit: int, refused: list[str]) -> list[dict[str, Any]]:
    with open_serving(session.home) as con:
        known = {str(row[0]) for row in con.execute("select source from store.source").fetchall()}
        if source is not None and source not in known.union(refused):
            raise NotFoundError(
                f"no source {source!r}.", cure=f"Known: {', '.join(sorted(known)) or 'none'}."
            )
        return dictionaries(
            con,
            "select source, file, line, reason, detail, raw_prefix from quarantine where (? is null or source = ?) "
            "order by source, file, line limit ?",
            [source, source, limit],
        )


def _reasons(session: Session) -> None:
    from deita_assets.core.reasons import REASONS

    session.table(
        "",
        ["reason", "meaning", "cure"],
        [[code, reason.description, reason.cure] for code, reason in REASONS.items()],
    )
    session.emit([{"reason": code, "meaning": r.description, "cure": r.cure} for code, r in REASONS.items()])
