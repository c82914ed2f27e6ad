"""Files taken out of landing by hand: moved to `withdrawn/<source>/`, never deleted, never written over.

What belongs here: which files are meant, and moving them there and back. What does not: bringing the pool in line
(ingest), which happens right after and is told that these files left on purpose.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deita_assets.engines.landing import file_sha256, landing_paths
from deita_assets.errors import NotFoundError
from deita_assets.stores.home import Home
from deita_assets.stores.lock import file_lock

#: Files named in an error, so that it stays readable.
_NAMED = 12


@dataclass(frozen=True)
class Withdrawn:
    """One file that left landing: its uri, where it stood, and where it is now."""

    uri: str
    stood: Path
    path: Path


def withdrawable(home: Home, source: str, live: set[tuple[str, str]]) -> list[str]:
    """Files (uri) that can be withdrawn: those in landing, and those that a withdrawal cut off had moved already.

    Args:
        home: whose landing.
        source: the source.
        live: (uri, sha256) of the files that count for it in the store.
    """
    folder = home.source_landing(source)
    standing = {str(path.relative_to(folder)) for path in landing_paths(home, source)}
    moved = {uri for uri, sha256 in live if uri not in standing and _in_withdrawn(home, source, uri, sha256)}
    return sorted(standing | moved)


def chosen_files(home: Home, source: str, named: Sequence[str], there: Sequence[str]) -> list[str]:
    """The files (uri) out of `there` that `named` means, all of them when it is empty.

    Args:
        home: whose landing.
        source: the source.
        named: paths below `landing/<source>/`, or any path to such a file.
        there: what can be withdrawn.

    Raises:
        NotFoundError: none is there, or one that was named is not; says what is.
    """
    folder = home.source_landing(source)
    if not there:
        raise NotFoundError(f"source {source!r}: {folder} holds no file.", cure=_others(home))
    chosen = [_uri(folder, name, there) for name in named]
    if unknown := [name for name, uri in zip(named, chosen, strict=True) if uri is None]:
        shown = ", ".join(there[:_NAMED]) + (
            f" and {len(there) - _NAMED} more" if len(there) > _NAMED else ""
        )
        raise NotFoundError(
            f"source {source!r} holds no file {', '.join(unknown)}.", cure=f"In landing/{source}/: {shown}."
        )
    return sorted({uri for uri in chosen if uri is not None}) if named else list(there)


def move_out(home: Home, source: str, uris: Sequence[str]) -> list[Withdrawn]:
    """Move files from landing to `withdrawn/<source>/`; those that stand there no more are passed over.

    Holds the lock of the source's ingest, so that none reads half of the change. A file of the same name and other
    content that was withdrawn before stays; the new one gets its checksum into its name.
    """
    folder = home.source_landing(source)
    moved = []
    with file_lock(home.locks / f"ingest-{source}.lock", f"withdraw from {source}"):
        for uri in uris:
            path = folder / uri
            if path.is_file():
                target = _place(home.withdrawn / source / uri, path)
                _move(path, target)
                moved.append(Withdrawn(uri, path, target))
    return moved


def put_back(home: Home, source: str, moved: Sequence[Withdrawn]) -> list[Withdrawn]:
    """Undo `move_out`; returns those whose place was taken meanwhile, which stay where they are."""
    left = []
    with file_lock(home.locks / f"ingest-{source}.lock", f"put files of {source} back"):
        for one in moved:
            if one.stood.exists():
                left.append(one)
            else:
                one.stood.parent.mkdir(parents=True, exist_ok=True)
                _move(one.path, one.stood)
    return left


def _uri(folder: Path, name: str, there: Sequence[str]) -> str | None:
    if name in there:
        return name
    path = Path(name).expanduser().absolute()
    below = str(path.relative_to(folder)) if path.is_relative_to(folder) else ""
    return below if below in there else None


def _others(home: Home) -> str:
    names = (
        sorted(path.name for path in home.landing.iterdir() if path.is_dir()) if home.landing.is_dir() else []
    )
    return f"Sources in landing: {', '.join(names) or 'none'}."


def _in_withdrawn(home: Home, source: str, uri: str, sha256: str) -> bool:
    place = home.withdrawn / source / uri
    return any(path.is_file() and file_sha256(path) == sha256 for path in (place, _beside(place, sha256)))


def _place(target: Path, file: Path) -> Path:
    """Where a withdrawn file goes: its own name, unless other content has it."""
    if not target.exists():
        return target
    sha256 = file_sha256(file)
    return target if file_sha256(target) == sha256 else _beside(target, sha256)


def _beside(target: Path, sha256: str) -> Path:
    stem, dot, rest = target.name.partition(".")
    return target.with_name(f"{stem}-{sha256[:16]}{dot}{rest}")


def _move(file: Path, target: Path) -> None:
    """Rename, or copy and then remove where landing is another file system; the target is whole or not there."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        file.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        partial = target.with_name(f".{target.name}.{os.getpid()}.part")
        shutil.copy2(file, partial)
        partial.replace(target)
        file.unlink()
