"""`deita-assets selections`: the versions that exist.

What belongs here: the command. What does not: making versions.
"""

from __future__ import annotations

import click

from deita_assets.cli.session import Session, dictionaries, with_session
from deita_assets.stores.serving import open_serving


@click.command("selections")
@with_session
def command(session: Session) -> None:
    """Every selection version, newest first; `head` marks the current one of its scope and budget."""
    with open_serving(session.home) as con:
        rows = dictionaries(con, "select * from selections order by created_at desc, selection_version")
    session.table(
        "", ["version", "scope", "kind", "budget", "rows", "head", "trial", "made (UTC)"],
        [
            [
                r["selection_version"], r["scope"], r["scope_kind"], r["budget"], r["n_rows"], r["is_head"], r["trial"],
                f"{r['created_at']:%Y-%m-%d %H:%M}",
            ]
            for r in rows
        ],
    )  # fmt: skip
    session.emit(rows)
