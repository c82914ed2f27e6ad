"""`deita-assets atlas`: a pool or a selection as a map, in the browser and as a picture.

What belongs here: the command. What does not: the map (engines.atlas) and its page (engines.atlas_page).
"""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deita_assets.cli.look import find_version, scope_kind
from deita_assets.cli.session import Session, dictionaries, with_session
from deita_assets.core.names import SHORTEST_PREFIX
from deita_assets.errors import NotFoundError, UsageError
from deita_assets.stores.serving import open_serving

if TYPE_CHECKING:
    import duckdb

    from deita_assets.engines.atlas import Atlas


@click.command("atlas")
@click.argument("what", metavar="VERSION|SCOPE")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=5055, show_default=True, help="0 takes any free one."
)
@click.option("--no-browser", is_flag=True, help="Serve the page, but open no browser.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write the map to this new folder instead of serving it."
)
@click.option(
    "--limit", type=click.IntRange(min=1), help="Rows shown at most: kept ones first [default: 50,000]."
)
@click.option(
    "--projection", type=click.Choice(["pca", "umap"]), help="[default: umap where umap-learn is installed]"
)
@with_session
def command(
    session: Session,
    what: str,
    port: int,
    no_browser: bool,
    out: Path | None,
    limit: int | None,
    projection: str | None,
) -> None:
    """Map a selection VERSION (6 or more characters), or a SCOPE as it is now, by what its rows say.

    Rows that say much the same lie together; the colour is the verdict. Writes a picture and a Parquet file below the
    home, and serves the page at http://127.0.0.1:PORT until interrupted.
    """
    from deita_assets.engines.atlas import MOST_ROWS, make_atlas

    if out is not None and out.exists():
        raise UsageError(f"{out} exists.", cure="Name a folder that does not: nothing is ever overwritten.")
    with open_serving(session.home) as con:
        ledger_id, budget = _mapped(con, what)
        atlas = make_atlas(
            session.home, con, ledger_id, budget,
            limit=limit or MOST_ROWS, method=projection, on_rows=_counter(session),
        )  # fmt: skip
    _tell(session, atlas)
    if out is not None:
        _export(session, atlas, out)
    else:
        _serve(session, atlas, port, open_browser=not (no_browser or session.as_json))


def _mapped(con: duckdb.DuckDBPyConnection, what: str) -> tuple[str, int | None]:
    """(ledger, budget) of a scope, at its largest current budget, or of a version.

    Raises:
        NotFoundError: neither is called so.
    """
    try:
        kind = scope_kind(con, what)
    except NotFoundError as no_scope:
        return _of_version(con, what, no_scope)
    query = "select any_value(ledger_id) as ledger_id from ledger where scope_kind = ? and scope = ?"
    ledger_id = str(dictionaries(con, query, [kind, what])[0]["ledger_id"])
    query = (
        "select max(budget) as budget from selections "
        "where scope_kind = ? and scope = ? and is_head and ledger_id = ?"
    )
    budget = dictionaries(con, query, [kind, what, ledger_id])[0]["budget"]
    return ledger_id, None if budget is None else int(budget)


def _of_version(con: duckdb.DuckDBPyConnection, prefix: str, no_scope: NotFoundError) -> tuple[str, int]:
    neither = NotFoundError(
        f"{prefix!r} is no selection version, and {no_scope.message}",
        cure="Name a scope, or a version as `deita-assets selections` shows it (6 characters or more).",
    )
    if len(prefix) < SHORTEST_PREFIX:
        raise neither
    try:
        found = find_version(con, prefix)
    except NotFoundError:
        raise neither from None
    return str(found["ledger_id"]), int(found["budget"])


def _counter(session: Session) -> Callable[[int], None]:
    def on_rows(rows: int) -> None:
        if session.err.is_terminal:
            session.err.print(f"[dim]… neighbours of {rows:,} rows[/dim]", end="\r")

    return on_rows


def _tell(session: Session, atlas: Atlas) -> None:
    session.out.print(atlas.caption, markup=False)
    session.table("", ["verdict", "rows"], list(atlas.verdicts.items()))
    if atlas.n_unplaced:
        session.out.print(f"{atlas.n_unplaced:,} rows have no vector, and so no place on it.")
    if atlas.n_shown + atlas.n_unplaced < atlas.n_rows:
        session.err.print(f"{atlas.n_shown:,} of {atlas.n_rows:,} rows are shown; --limit takes more.")
    session.out.print(f"picture: {atlas.picture}\nrows:    {atlas.parquet}", markup=False)


def _document(atlas: Atlas) -> dict[str, Any]:
    return {
        "scope_kind": atlas.ledger.scope.kind,
        "scope": atlas.ledger.scope.name,
        "ledger_id": atlas.ledger.ledger_id,
        "budget": atlas.budget,
        "n_rows": atlas.n_rows,
        "n_shown": atlas.n_shown,
        "n_unplaced": atlas.n_unplaced,
        "verdicts": atlas.verdicts,
        "projection": atlas.method,
        "explained_variance": atlas.explained,
        "picture": str(atlas.picture),
        "parquet": str(atlas.parquet),
    }


def _export(session: Session, atlas: Atlas, out: Path) -> None:
    from deita_assets.engines.atlas_page import INSTALL, export

    page = export(atlas, out)
    if page:
        session.out.print(f"the page: python -m http.server -b 127.0.0.1 -d {out}", markup=False)
    else:
        session.err.print(f"without the page: {INSTALL}", markup=False)
    files = {"picture": str(out / atlas.picture.name), "parquet": str(out / atlas.parquet.name)}
    session.emit({**_document(atlas), **files, "out": str(out), "page": page})


def _serve(session: Session, atlas: Atlas, port: int, *, open_browser: bool) -> None:
    from deita_assets.engines.atlas_page import HOST, INSTALL, bind, page_folder, serve

    page = page_folder()
    if page is None:
        session.err.print(f"the map in the browser needs embedding-atlas: {INSTALL}", markup=False)
        session.emit({**_document(atlas), "url": None})
        return
    bound = bind(port)
    url = f"http://{HOST}:{bound.getsockname()[1]}/"

    def ready() -> None:
        session.out.print(f"page:    {url} (Ctrl-C ends it)", markup=False)
        session.emit({**_document(atlas), "url": url})
        sys.stdout.flush()
        if open_browser:
            webbrowser.open(url)

    serve(atlas, page, bound, ready)
