"""`deita-assets status`: what there is and what is stale.

What belongs here: the command. What does not: the rule of staleness.
"""

from __future__ import annotations

import click

from deita_assets.cli.session import Session, dictionaries, with_session
from deita_assets.stores.serving import open_serving

_SOURCES = """
select p.source, count(*) as rows, any_value(p.licence) as licence,
       (select count(*) from quarantine q where q.source = p.source) as quarantined,
       (select count(evol_score) from scored_pool s where s.source = p.source) as scored
from pool p group by p.source order by p.source
"""
_HEADS = """
select scope_kind, scope, budget, n_rows, selection_version, created_at
from selections where is_head order by scope_kind, scope, budget
"""


@click.command("status")
@with_session
def command(session: Session) -> None:
    """Sources with rows, scores and stale assets; current selections."""
    with open_serving(session.home) as con:
        sources, heads = dictionaries(con, _SOURCES), dictionaries(con, _HEADS)
    stale = session.curation.stale
    for row in sources:
        row["stale"] = stale.stale_source_assets(row["source"], _wanted(heads, row["source"]))
    session.out.print(f"home {session.home.root}", markup=False)
    session.table(
        "", ["source", "rows", "scored", "quarantined", "licence", "stale"],
        [
            [
                r["source"], r["rows"], r["scored"], r["quarantined"], r["licence"] or "unknown",
                ", ".join(r["stale"]) or "-",
            ]
            for r in sources
        ],
    )  # fmt: skip
    session.out.print("")
    session.table(
        "", ["scope", "kind", "budget", "rows", "version", "made (UTC)"],
        [
            [
                h["scope"], h["scope_kind"], h["budget"], h["n_rows"], h["selection_version"],
                f"{h['created_at']:%Y-%m-%d %H:%M}",
            ]
            for h in heads
        ],
    )  # fmt: skip
    session.emit({"home": str(session.home.root), "sources": sources, "selections": heads})


def _wanted(heads: list[dict[str, object]], source: str) -> tuple[str, ...]:
    """Assets that are expected of a source: its own ledger only where a selection of it is kept."""
    from deita_assets.defs.automation.staleness import SOURCE_ASSETS

    selected = any(head["scope_kind"] == "source" and head["scope"] == source for head in heads)
    return SOURCE_ASSETS if selected else SOURCE_ASSETS[:-1]
