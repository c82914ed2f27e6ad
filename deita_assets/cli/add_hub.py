"""`deita-assets add SOURCE hf://...`: a dataset of the hub into a source.

What belongs here: what is different from files of one's own. What does not: the command (cli.add) and fetching
(engines.hub).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deita_assets.cli.session import Session
from deita_assets.core.hub_names import HubId, parse_hub_id
from deita_assets.errors import UsageError


def one_hub_id(session: Session, source: str, paths: Sequence[str]) -> HubId:
    """The hub id that `add` was given.

    Raises:
        UsageError: something else was given beside it, or deita.toml names another id for the source.
        InvalidNameError: it is not spelled as hub ids are.
    """
    if len(paths) > 1:
        raise UsageError(
            f"a hub id and {len(paths) - 1} more paths at once.",
            cure=f"Add the hub id alone, and files by another `deita-assets add {source} PATH...`.",
        )
    hub = parse_hub_id(paths[0])
    named = session.settings.source(source).hub
    if named is not None and parse_hub_id(named) != hub:
        raise UsageError(
            f"deita.toml says hub = {named!r} for source {source!r}, and the next run would fetch that again.",
            cure=f"Change it there, and run `deita-assets curate --source {source}`.",
        )
    return hub


def add_hub(session: Session, source: str, hub: HubId, config: dict[str, Any]) -> dict[str, Any]:
    """Fetch what an id names into landing, ingest it, publish; returns the accounting of the source.

    Files that were withdrawn come back, because they are asked for by hand.
    """
    from deita_assets.cli.add import ingest_landed
    from deita_assets.engines.hub import fetch, take_back
    from deita_assets.engines.hub_fetch import shown_bytes

    session.home.create()
    fetched = fetch(
        session.home,
        source,
        hub,
        say=lambda line: session.err.print(line, markup=False, highlight=False),
        withdrawn_too=True,
    )
    report = ingest_landed(session, source, config, lambda: take_back(session.home, source, fetched))
    changes = {"new": fetched.new, "replaced": fetched.replaced, "removed": fetched.removed}
    told = ", ".join(f"{len(paths):,} {what}" for what, paths in changes.items() if paths)
    session.out.print(
        f"{hub}: {_counted(fetched.files)}, {told or 'all there'}; {shown_bytes(fetched.n_bytes)} fetched",
        markup=False,
        highlight=False,
    )
    return {
        **report,
        "hub": {
            "id": str(hub),
            **{what: list(paths) for what, paths in changes.items()},
            "bytes": fetched.n_bytes,
        },
    }


def show_hub_files(session: Session, source: str, hub: HubId) -> None:
    """The dry run: which files an id names, and their sizes; nothing is fetched."""
    from deita_assets.engines.hub import hub_files
    from deita_assets.engines.hub_fetch import shown_bytes

    files = hub_files(source, hub)
    total = sum(file.size for file in files)
    session.table("", ("file", "bytes"), [(file.path, file.size) for file in files])
    session.out.print(
        f"{hub}: {_counted(files)}, {shown_bytes(total)}. Nothing was fetched.",
        markup=False,
        highlight=False,
    )
    session.emit(
        {
            "source": source,
            "hub": str(hub),
            "bytes": total,
            "files": [{"file": file.path, "bytes": file.size} for file in files],
        }
    )


def _counted(files: Sequence[object]) -> str:
    return "1 file" if len(files) == 1 else f"{len(files):,} files"
