"""The steps of a fetch from the hub into landing.

The files are fetched into a hidden folder beside their place, checked, and moved into place one by one. A record
(`.hub.json`) that is written before the first move says what belongs to the hub, so that a fetch that was killed is
completed by the next one, and nothing that people put there is ever replaced or removed.

What belongs here: the order of those steps. What does not: who asks for a fetch, and when (hub).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from deita_assets.core.fingerprint import short_digest
from deita_assets.core.hub_names import HubId
from deita_assets.engines.hub_errors import Origin
from deita_assets.engines.hub_listing import download, listing
from deita_assets.engines.hub_record import HubFile, HubRecord, read_record, write_record
from deita_assets.engines.landing import file_sha256
from deita_assets.errors import HubError, SourceFileError
from deita_assets.stores.home import Home
from deita_assets.stores.lock import file_lock
from deita_assets.stores.new_folder import sync

#: Below the landing folder of a source, and hence on its file system; hidden, and hence no part of the source.
STAGING = ".hub"


@dataclass(frozen=True)
class Fetched:
    """What a fetch did to landing; paths as in the dataset.

    Attributes:
        hub: the id.
        files: all that it names.
        new, replaced, removed: paths that came, changed and left.
        withdrawn: paths that stay away because somebody withdrew them.
        n_bytes: what was downloaded.
    """

    hub: HubId
    files: tuple[HubFile, ...]
    new: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    withdrawn: tuple[str, ...] = ()
    n_bytes: int = 0

    @property
    def changed(self) -> bool:
        """True when landing is not as it was."""
        return bool(self.new or self.replaced or self.removed)


class Fetch:
    """The state of one fetch while it runs; whoever runs it holds the lock of its source."""

    def __init__(
        self,
        home: Home,
        source: str,
        hub: HubId,
        folder: Path,
        say: Callable[[str], None],
        withdrawn_too: bool,
    ) -> None:
        self.origin, self.folder, self.say = Origin(source, hub), folder, say
        self.ingest_lock = home.locks / f"ingest-{source}.lock"
        self.withdrawn = None if withdrawn_too else home.withdrawn / source
        self.staging = folder / STAGING / short_digest(str(hub))
        self.record = read_record(folder)
        self.mine = self.record.mine if self.record else frozenset()

    def run(self) -> Fetched:
        """Do what is left to do; nothing when the id stands there whole."""
        hub = str(self.origin.hub)
        same = self.record is not None and self.record.hub == hub
        wanted = self.record.files if self.record and same else listing(self.origin)
        for file in wanted:
            self._refuse_blocked(file)
        whole = [file for file in wanted if file.is_content_of(self.folder / file.path)]
        away = [file for file in wanted if file not in whole and self._was_withdrawn(file)]
        missing = [file for file in wanted if file not in whole and file not in away]
        replaced = tuple(file.path for file in missing if self._stands(file))
        removed = self._removed(wanted)
        fetched = Fetched(
            self.origin.hub,
            files=wanted,
            new=tuple(file.path for file in missing if file.path not in replaced),
            replaced=replaced,
            removed=removed,
            withdrawn=tuple(file.path for file in away),
        )
        if same and self.record and self.record.complete and not fetched.changed:
            return fetched
        n_bytes = self._download(missing)
        record = self._recorded([*whole, *missing], away)
        removed = self._put(record, missing, wanted)
        return replace(fetched, files=record.files, removed=removed, n_bytes=n_bytes)

    def _refuse_blocked(self, file: HubFile) -> None:
        """Refuse what would lead out of landing, before anything is fetched."""
        places = [self.folder, self.folder / STAGING, self.staging, *_parents(self.folder, file.path)]
        for place in places:
            if place.is_symlink() or (place.exists() and not place.is_dir()):
                raise SourceFileError(
                    f"{self.origin}: {place} is no folder, and {file.path} has to go through it.",
                    cure="Move it away; links are refused because they could lead anywhere.",
                )

    def _stands(self, file: HubFile) -> bool:
        """True when an earlier file of the hub stands in the place of this one.

        Raises:
            SourceFileError: what stands there is not from the hub, or was changed since.
        """
        place = self.folder / file.path
        if not (place.is_symlink() or place.exists()):
            return False
        if place.is_symlink() or not place.is_file() or (file.path, file_sha256(place)) not in self.mine:
            raise SourceFileError(
                f"{self.origin}: landing/{self.origin.source}/{file.path} stands in the place of a file of the hub, "
                "and is not from there, or was changed since.",
                cure="Rename it to keep it beside that file, or remove it to have that file fetched.",
            )
        return True

    def _was_withdrawn(self, file: HubFile) -> bool:
        """True for a file that somebody took out on purpose, and nobody put back."""
        if self.withdrawn is None or (self.folder / file.path).exists():
            return False
        return (self.withdrawn / file.path).is_file()

    def _removed(self, wanted: tuple[HubFile, ...]) -> tuple[str, ...]:
        """Files of the hub that the id does not name, as they were fetched; changed ones are of people now."""
        named = {file.path for file in wanted}
        others = [
            (path, self.folder / path, sha256) for path, sha256 in sorted(self.mine) if path not in named
        ]
        return tuple(
            path
            for path, place, sha256 in others
            if not _is_led_away(self.folder, path) and place.is_file() and file_sha256(place) == sha256
        )

    def _download(self, missing: list[HubFile]) -> int:
        """Fetch into the hidden folder what does not stand there yet; returns the bytes of it."""
        for other in (self.folder / STAGING).glob("*"):
            if other != self.staging:
                shutil.rmtree(other, ignore_errors=True)
        absent = [file for file in missing if not file.is_content_of(self.staging / file.path)]
        total = sum(file.size for file in absent)
        if not absent:
            return 0
        self.say(f"{self.origin}: fetching {len(absent)} of its files, {shown_bytes(total)}")
        self._refuse_oversized(total)
        self.staging.mkdir(parents=True, exist_ok=True)
        for file in absent:
            sync(download(self.origin, file, self.staging))
        return total

    def _refuse_oversized(self, total: int) -> None:
        standing = next(path for path in (self.folder, *self.folder.parents) if path.exists())
        free = shutil.disk_usage(standing).free
        if total > free:
            raise HubError(
                f"{self.origin}: {shown_bytes(total)} are to be fetched, and {standing} has {shown_bytes(free)} free.",
                cure="Make room, or name fewer files behind the revision.",
            )

    def _recorded(self, placed: list[HubFile], away: list[HubFile]) -> HubRecord:
        files = [
            replace(file, sha256=file.sha256 or file_sha256(self._standing(file)), git_oid=None)
            for file in placed
        ]
        now = {(file.path, file.sha256) for file in files}
        every = tuple(sorted([*files, *away], key=lambda file: file.path))
        return HubRecord(
            str(self.origin.hub),
            every,
            self.record.known - now if self.record else frozenset(),
            complete=False,
        )

    def _standing(self, file: HubFile) -> Path:
        staged = self.staging / file.path
        return staged if staged.is_file() else self.folder / file.path

    def _put(self, record: HubRecord, missing: list[HubFile], wanted: tuple[HubFile, ...]) -> tuple[str, ...]:
        """Move the fetched files to their places and the former ones away, while no ingest reads them.

        Landing is looked at again: people may have put files there while others were downloaded.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with file_lock(
            self.ingest_lock, f"put files of {self.origin.hub} into landing/{self.origin.source}/"
        ):
            for file in missing:
                self._refuse_blocked(file)
                self._stands(file)
            removed = self._removed(wanted)
            write_record(self.folder, record)
            for file in missing:
                place = self.folder / file.path
                place.parent.mkdir(parents=True, exist_ok=True)
                (self.staging / file.path).replace(place)
            for path in removed:
                remove(self.folder, path)
            write_record(self.folder, replace(record, complete=True))
        shutil.rmtree(self.folder / STAGING, ignore_errors=True)
        return removed


def shown_bytes(size: int) -> str:
    """A size as people read it."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size} bytes"


def _parents(folder: Path, path: str) -> list[Path]:
    return [folder / parent for parent in Path(path).parents if parent.parts]


def _is_led_away(folder: Path, path: str) -> bool:
    """True when a link stands on the way to a file, or in its place: what it leads to is not of the hub."""
    return any(place.is_symlink() for place in (folder, folder / path, *_parents(folder, path)))


def remove(folder: Path, path: str) -> None:
    """Remove a file, and the folders that it leaves empty; nothing that a link leads to."""
    if _is_led_away(folder, path):
        return
    (folder / path).unlink(missing_ok=True)
    for parent in _parents(folder, path):
        try:
            parent.rmdir()
        except OSError:  # not empty, or gone
            return
