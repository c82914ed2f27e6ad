"""`landing/<source>/.hub.json`: which files of a source came from the hub, from which id, and which it let go.

What belongs here: the record, reading and writing it, and comparing a file with what it should be. What does not:
fetching and moving files (engines.hub).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deita_assets.core.hub_names import is_plain_path
from deita_assets.engines.landing import file_sha256
from deita_assets.errors import SourceFileError
from deita_assets.stores.new_folder import sync

RECORD = ".hub.json"


@dataclass(frozen=True)
class HubFile:
    """One file of a dataset: its path there and in landing, its bytes, and the checksums that are known of it.

    `sha256` is None for small files that were not fetched yet: the hub tells the git object of these, `git_oid`,
    and the sha256 of large ones only.
    """

    path: str
    size: int
    sha256: str | None = None
    git_oid: str | None = None

    def is_content_of(self, path: Path) -> bool:
        """True when the file at `path` has this content; a link never has."""
        if path.is_symlink() or not path.is_file() or path.stat().st_size != self.size:
            return False
        if self.sha256 is not None:
            return file_sha256(path) == self.sha256
        return self.git_oid is not None and _git_oid(path, self.size) == self.git_oid


@dataclass(frozen=True)
class HubRecord:
    """What stands in landing from the hub.

    Attributes:
        hub: the id as it is spelled; None after a fetch was taken back, when no id describes the files.
        files: its files.
        left: (path, sha256) of files that a later id replaced or no longer names; they left landing on purpose.
        complete: False from before the first file is moved until the last one is.
    """

    hub: str | None
    files: tuple[HubFile, ...]
    left: frozenset[tuple[str, str]] = frozenset()
    complete: bool = True

    @property
    def known(self) -> frozenset[tuple[str, str]]:
        """(path, sha256) of everything that ever came from the hub."""
        return self.left | {(file.path, file.sha256) for file in self.files if file.sha256}

    @property
    def mine(self) -> frozenset[tuple[str, str]]:
        """Of these, what may be replaced or removed where it stands.

        After a whole fetch none of those that left does; one that stands there was put there by people.
        """
        return self.known - self.left if self.complete else self.known


def read_record(folder: Path) -> HubRecord | None:
    """The record of a landing folder; None when nothing was fetched into it.

    Raises:
        SourceFileError: it is no such record.
    """
    path = folder / RECORD
    try:
        return _record(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise SourceFileError(
            f"{path} is no record of a fetch ({type(error).__name__}: {error}).",
            cure="Remove it; the next fetch compares the files with the hub and writes it anew.",
        ) from error


def write_record(folder: Path, record: HubRecord) -> None:
    """Replace the record of a landing folder at once, on the disk before anything after it."""
    revision = record.hub.partition("@")[2].partition("/")[0] if record.hub else None
    values = {
        "hub": record.hub,
        "revision": revision,
        "complete": record.complete,
        "files": [asdict(file) for file in sorted(record.files, key=lambda file: file.path)],
        "left": [list(pair) for pair in sorted(record.left)],
    }
    partial = folder / f"{RECORD}.part"
    partial.write_text(json.dumps(values, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sync(partial)
    partial.replace(folder / RECORD)
    sync(folder)


def _record(values: dict[str, Any]) -> HubRecord:
    files = tuple(HubFile(**one) for one in values["files"])
    left = frozenset((str(path), str(sha256)) for path, sha256 in values["left"])
    for path in (*(file.path for file in files), *(path for path, _ in left)):
        if not is_plain_path(path):  # it says what may be removed
            raise ValueError(f"{path!a} leads out of the folder")
    hub = values["hub"]
    return HubRecord(None if hub is None else str(hub), files, left, values["complete"] is True)


def _git_oid(path: Path, size: int) -> str:
    """The name that git gives to a file's content."""
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with path.open("rb") as handle:
        while chunk := handle.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
