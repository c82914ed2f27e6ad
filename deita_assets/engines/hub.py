"""Datasets of the hub in landing: fetch a pinned revision, and know what stands there of it.

What belongs here: what the rest of the platform asks for. What does not: the steps of a fetch (hub_fetch), speaking
with the hub (hub_listing), the record of what was fetched (hub_record), and ingest, which happens right after and is
told which files left on purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from deita_assets.core.hub_names import HubId, parse_hub_id
from deita_assets.core.names import validate_source_name
from deita_assets.engines.hub_errors import Origin
from deita_assets.engines.hub_fetch import Fetch, Fetched, remove
from deita_assets.engines.hub_listing import listing
from deita_assets.engines.hub_record import RECORD, HubFile, read_record, write_record
from deita_assets.errors import SourceFileError
from deita_assets.settings import DeitaSettings
from deita_assets.stores.home import Home
from deita_assets.stores.lock import file_lock


def hub_sources(settings: DeitaSettings) -> list[str]:
    """Sources whose settings name a hub id, in name order; they count as landed before their first fetch."""
    return sorted(name for name, chosen in settings.sources.items() if chosen.hub)


def hub_state(home: Home, source: str, hub: str) -> list[Any]:
    """JSON values that change when a source should be fetched, and again when it was; reads the record alone.

    Args:
        home: whose landing.
        source: a source whose settings name `hub`.
        hub: that id.
    """
    try:
        record = read_record(home.source_landing(source))
    except SourceFileError:
        return [str(parse_hub_id(hub)), "record unreadable"]
    return [str(parse_hub_id(hub)), record.hub if record and record.complete else None]


def hub_of(home: Home, source: str) -> str | None:
    """The id from which files of a source were fetched last; None when none were."""
    record = read_record(home.source_landing(source))
    return record.hub if record else None


def let_go(home: Home, source: str) -> frozenset[tuple[str, str]]:
    """(path, sha256) of files of a source that a newer id replaced or no longer names.

    An ingest lets their rows go without asking, however many they are.
    """
    record = read_record(home.source_landing(source))
    return record.left if record else frozenset()


def refuse_hub_places(home: Home, source: str, files: Iterable[Path]) -> None:
    """Refuse files that would take the place of one that was fetched; the same content is welcome.

    Raises:
        SourceFileError: such a file.
    """
    record = read_record(home.source_landing(source))
    fetched = {file.path: file for file in record.files} if record else {}
    for path in files:
        if path.name in fetched and not fetched[path.name].is_content_of(path):
            raise SourceFileError(
                f"{path}: a file of this name came into source {source!r} from {record.hub if record else ''}.",
                cure="Rename it.",
            )


def hub_files(source: str, hub: HubId) -> tuple[HubFile, ...]:
    """The files that an id names, with their sizes, in path order; fetches none of them.

    Raises:
        HubError, NotFoundError: as `fetch`.
    """
    return listing(Origin(validate_source_name(source), hub))


def fetch(
    home: Home,
    source: str,
    hub: HubId,
    *,
    say: Callable[[str], None] = lambda line: None,
    withdrawn_too: bool = False,
) -> Fetched:
    """Bring the files that an id names into the landing folder of a source, and those of an earlier id out of it.

    The hub is asked only when something is missing: an id that stands there whole costs reading its files. What
    people put beside them stays. A kill at any moment leaves the old files, or a record that the next call completes.

    Args:
        home: whose landing.
        source: its name.
        hub: what to fetch.
        say: told, in one line each, how much is to be fetched.
        withdrawn_too: fetch files that somebody withdrew too; without it they stay away.

    Raises:
        HubError: the hub cannot be reached, refuses, or sends something else than it lists; landing is as it was.
        NotFoundError: there is no such dataset or revision, or it names no file that can be read.
        SourceFileError: something that is not from the hub stands in the place of one of its files.
    """
    folder = home.source_landing(validate_source_name(source))
    with file_lock(home.locks / f"hub-{source}.lock", f"fetch {hub} into landing/{source}/"):
        return Fetch(home, source, hub, folder, say, withdrawn_too).run()


def take_back(home: Home, source: str, fetched: Fetched) -> None:
    """Remove what a fetch brought newly, because it cannot be read; replaced files stay, as with files of people."""
    folder = home.source_landing(source)
    with file_lock(home.locks / f"hub-{source}.lock", f"take {fetched.hub} back from landing/{source}/"):
        record = read_record(folder)
        if record is None or record.hub != str(fetched.hub):
            return
        new = [file for file in record.files if file.path in fetched.new]
        kept = tuple(file for file in record.files if file not in new and (folder / file.path).is_file())
        write_record(folder, replace(record, hub=None, files=kept))
        for file in new:
            remove(folder, file.path)
        if not kept and not record.left:
            (folder / RECORD).unlink()
