"""The landing folder: which files make up a source now, and how files get there.

What belongs here: listing, hashing and copying files. What does not: reading rows out of them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deita_assets.core.fingerprint import short_digest
from deita_assets.core.names import is_source_name, validate_source_name
from deita_assets.core.strict_json import is_encodable
from deita_assets.errors import NotFoundError, SourceFileError
from deita_assets.stores.home import Home
from deita_assets.stores.pool import LandingFile

#: Names that a copy in progress bears; they are not part of a source.
UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".swp")
#: Places whose files the kernel makes up: what they hold, such as a process's environment, is no data.
_NO_DISK = tuple(map(Path, ("/proc", "/sys", "/dev")))
#: How an address begins, also where a path has folded its slashes.
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def source_names(home: Home) -> list[str]:
    """Folders of landing whose names are valid sources, in name order."""
    if not home.landing.is_dir():
        return []
    return sorted(
        entry.name for entry in home.landing.iterdir() if entry.is_dir() and is_source_name(entry.name)
    )


def landing_paths(home: Home, source: str) -> list[Path]:
    """The files of a source: regular, visible, finished; in name order.

    Raises:
        SourceFileError: a symbolic link, device or FIFO stands there (these could reach outside landing), or a
            name is no UTF-8 (no store can hold it).
    """
    folder = home.source_landing(validate_source_name(source))
    found: list[Path] = []
    _refuse_link(source, folder, folder)
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            _refuse_link(source, folder, Path(base) / name)
        for name in sorted(names):
            if _ignored(name):
                continue
            path = Path(base) / name
            with suppress(FileNotFoundError):  # it left while the folder was read
                _refuse_odd(source, folder, path)
                found.append(path)
    return found


def landing_state(home: Home, source: str) -> str:
    """Digest of names, sizes and modification times: cheap, equal while nothing changed."""
    return short_digest(
        [[uri, size, mtime_ns] for uri, (size, mtime_ns, _) in file_marks(home, source).items()]
    )


def file_marks(home: Home, source: str) -> dict[str, tuple[int, int, int]]:
    """Uri -> size, modification time in ns and inode of the files of a source: equal while nobody writes to them."""
    folder = home.source_landing(source)
    marks = {}
    for path in landing_paths(home, source):
        with suppress(FileNotFoundError):  # it left since it was listed
            found = path.stat()
            marks[str(path.relative_to(folder))] = (found.st_size, found.st_mtime_ns, found.st_ino)
    return marks


def landing_files(home: Home, source: str) -> list[LandingFile]:
    """Every file of a source with its sha256."""
    folder = home.source_landing(source)
    return [
        LandingFile(str(path.relative_to(folder)), file_sha256(path), path.stat().st_size)
        for path in landing_paths(home, source)
    ]


def withheld_files(home: Home, source: str, live: Iterable[tuple[str, str]]) -> list[str]:
    """Files (uri) that count for a source though they no longer stand in landing; sizes and hashes are not compared."""
    folder = home.source_landing(source)
    return sorted(uri for uri, _ in live if not (folder / uri).is_file())


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes as hex.

    Raises:
        SourceFileError: it cannot be read, or left since it was listed.
    """
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise SourceFileError(
            f"{path}: {error.strerror}.", cure="Check that the file stands there and may be read."
        ) from error


@dataclass(frozen=True)
class Landed:
    """One file put into landing: new, a new edition of one that stood there, or the same as before."""

    path: Path
    state: Literal["new", "replaced", "same"]


def copy_into_landing(home: Home, source: str, paths: Iterable[Path]) -> list[Landed]:
    """Copy files, or all files of folders, into the landing folder of a source; a reader never sees half a file.

    A file of the same name that stands in landing is replaced: this is how a new edition of a file comes in.

    Raises:
        NotFoundError: a path does not exist.
        SourceFileError: two of the files have one name and different content, so that one would be lost; or a
            name that landing ignores.
    """
    folder = home.source_landing(validate_source_name(source))
    _refuse_link(source, folder, folder)
    chosen = files_of(paths)
    _refuse_lost(chosen)
    folder.mkdir(parents=True, exist_ok=True)
    return [_copy(file, folder / file.name) for file in chosen]


def files_of(paths: Iterable[Path]) -> list[Path]:
    """The files that `paths` name: themselves, and the visible, finished ones directly in folders.

    A link that is named is followed, for whoever names it means what it leads to; one that lies in a folder is not.

    Raises:
        NotFoundError: a path does not exist, or is an address.
        SourceFileError: a file whose name marks it as hidden or unfinished; a link in a folder; a device, a FIFO, or
            what stands in `/proc`, `/sys` or `/dev`.
    """
    return [file for path in paths for file in _files_of(path)]


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if not _ignored(file.name) and not file.is_dir())
        for file in files:
            _refuse_kind(file, file.lstat().st_mode)
        return files
    if not path.exists() and _ADDRESS.match(str(path)):
        raise NotFoundError(
            f"{str(path).partition(':')[0]}: addresses are not fetched from.",
            cure="Download the file and give its path; datasets of the hub are named hf://datasets/ORG/NAME@REVISION.",
        )
    if not path.exists():
        raise NotFoundError(f"{path}: no such file or folder.", cure="Check the path.")
    _refuse_kind(path, path.stat().st_mode)
    if _ignored(path.name):
        raise SourceFileError(
            f"{path.name}: hidden files and names that end in {', '.join(UNFINISHED)} are taken for unfinished.",
            cure="Rename the file.",
        )
    return [path]


def _refuse_kind(path: Path, mode: int) -> None:
    if stat.S_ISLNK(mode):
        raise SourceFileError(
            f"{path} is a symbolic link.",
            cure="It could lead anywhere: if its file is meant, name that file.",
        )
    real = path.resolve()
    if not stat.S_ISREG(mode) or any(real.is_relative_to(place) for place in _NO_DISK):
        raise SourceFileError(
            f"{path} is no regular file on a disk.", cure="Write its content to a file and name that."
        )


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.endswith(UNFINISHED)


def _refuse_lost(files: list[Path]) -> None:
    first: dict[str, Path] = {}
    for file in files:
        other = first.setdefault(file.name, file)
        if other != file and file_sha256(other) != file_sha256(file):
            raise SourceFileError(
                f"{other} and {file} have one name and different content.",
                cure="Rename one of them; files of a source stand in one folder.",
            )


def _refuse_link(source: str, landing: Path, path: Path) -> None:
    if path.is_symlink():
        shown = path.name if path == landing else path.relative_to(landing)
        raise SourceFileError(
            f"source {source!r}: {shown} is a symbolic link.",
            cure="Copy the files themselves into landing; links are refused because they could lead anywhere.",
        )


def _refuse_odd(source: str, landing: Path, path: Path) -> None:
    shown = str(path.relative_to(landing))
    if not stat.S_ISREG(path.lstat().st_mode):
        raise SourceFileError(
            f"source {source!r}: {shown!a} is no regular file.",
            cure="Copy the file itself into landing; links and devices are refused.",
        )
    if not is_encodable(shown):
        raise SourceFileError(f"source {source!r}: the name {shown!a} is no UTF-8.", cure="Rename the file.")


def _copy(file: Path, target: Path) -> Landed:
    stood = target.exists()
    if stood and (target.samefile(file) or file_sha256(target) == file_sha256(file)):
        return Landed(target, "same")
    _remove_left(target)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        shutil.copyfile(file, partial)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    return Landed(target, "replaced" if stood else "new")


def _remove_left(target: Path) -> None:
    """Remove what killed processes left of copies to the same place."""
    name = re.compile(rf"\.{re.escape(target.name)}\.(\d+)\.part")
    for left in target.parent.iterdir():
        if (found := name.fullmatch(left.name)) and not _lives(int(found[1])):
            left.unlink(missing_ok=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True
