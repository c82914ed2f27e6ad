"""`deita-assets selections`: the versions that exist.

What belongs here: the command. What does not: making versions, or comparing two of them (diff).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from deita_assets.cli.session import Session, dictionaries, with_session
from deita_assets.engines.spec_words import rule_changes
from deita_assets.errors import NotFoundError
from deita_assets.stores.home import Home
from deita_assets.stores.serving import open_serving
from deita_assets.stores.subsets import MANIFEST

if TYPE_CHECKING:
    import duckdb


@click.command("selections")
@click.option("--scope", help="Only of this source or mixture.")
@with_session
def command(session: Session, scope: str | None) -> None:
    """Every selection version, newest first; `head` marks the current one of its scope and budget.

    A trial says in which rules it departs from the lasting version that was the newest of its scope at the time.
    """
    with open_serving(session.home) as con:
        rows = dictionaries(con, "select * from selections order by created_at desc, selection_version")
        specs = dict(con.execute("select selection_version, spec from store.selection").fetchall())
        known = _known_scopes(con)
    if scope is not None and scope not in known:
        raise NotFoundError(f"no scope {scope!r}.", cure=f"Known: {', '.join(known) or 'none'}.")
    for row in rows:
        row["folder_stands"] = _stands(session.home, row["directory"])
        row["departs"] = _departures(row, rows, specs)
    rows = [row for row in rows if scope is None or row["scope"] == scope]
    session.table(
        "", ["version", "scope", "kind", "budget", "rows", "head", "trial", "made (UTC)", "folder", "departs in"],
        [
            [
                r["selection_version"], r["scope"], r["scope_kind"], r["budget"], r["n_rows"], r["is_head"], r["trial"],
                f"{r['created_at']:%Y-%m-%d %H:%M}", "stands" if r["folder_stands"] else "gone",
                "; ".join(r["departs"]) if r["departs"] else "",
            ]
            for r in rows
        ],
    )  # fmt: skip
    session.emit(rows)


def _known_scopes(con: duckdb.DuckDBPyConnection) -> list[str]:
    query = "select scope from store.selection union select scope from store.ledger order by 1"
    return [str(row[0]) for row in con.execute(query).fetchall()]


def _stands(home: Home, directory: str) -> bool:
    """Whether a subset folder is there, whole as far as its manifest, which is written last, can tell."""
    return (home.root / directory / MANIFEST).is_file()


def _departures(row: dict[str, Any], rows: list[dict[str, Any]], specs: dict[str, str]) -> list[str] | None:
    """Rules in which a trial departs, in words; None for a lasting version, or without one to depart from."""
    if not row["trial"]:
        return None
    lasting = [
        other
        for other in rows
        if (other["scope_kind"], other["scope"], other["trial"]) == (row["scope_kind"], row["scope"], False)
    ]
    before = [other for other in lasting if other["created_at"] <= row["created_at"]] or lasting[-1:]
    if not before:
        return None
    own, other = (json.loads(specs[one["selection_version"]]) for one in (row, before[0]))
    return [change.text for change in rule_changes(other, own)]
