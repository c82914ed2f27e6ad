"""`deita-assets rows`: rows of a scope's ledger.

What belongs here: the command. What does not: verdicts.
"""

from __future__ import annotations

import click

from deita_assets.cli.look import scope_kind
from deita_assets.cli.session import Session, dictionaries, one_line, with_session
from deita_assets.core.verdicts import VERDICTS
from deita_assets.stores.serving import open_serving

_SORTS = {
    "evol_score": "l.evol_score desc nulls last",
    "similarity": "l.similarity desc nulls last",
    "rank": "l.rank nulls last",
}


@click.command("rows")
@click.argument("scope")
@click.option("--verdict", type=click.Choice(VERDICTS), help="Only rows with this verdict.")
@click.option("--sort", type=click.Choice(list(_SORTS)), default="rank", show_default=True)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@with_session
def command(session: Session, scope: str, verdict: str | None, sort: str, limit: int) -> None:
    """Rows of SCOPE (a source or mixture) with verdict, score and nearest kept row."""
    with open_serving(session.home) as con:
        kind = scope_kind(con, scope)
        rows = dictionaries(
            con,
            "select l.sample_id, l.rank, l.verdict, l.evol_score, l.kept_position, l.similarity, l.blocked_by, "  # noqa: S608
            "l.reason, t.instruction from ledger l left join turns t on t.sample_id = l.sample_id and t.turn = 0 "
            "where l.scope_kind = ? and l.scope = ? and (? is null or l.verdict = ?) "
            f"order by {_SORTS[sort]}, l.sample_id limit ?",
            [kind, scope, verdict, verdict, limit],
        )
    session.table(
        "", ["rank", "verdict", "evol", "similarity", "sample_id", "first instruction", "reason"],
        [
            [
                r["rank"], r["verdict"], r["evol_score"], r["similarity"], r["sample_id"],
                one_line(r["instruction"] or "", 60), one_line(r["reason"] or "", 60),
            ]
            for r in rows
        ],
    )  # fmt: skip
    session.emit(rows)
