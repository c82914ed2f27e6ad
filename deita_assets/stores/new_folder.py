"""A new folder anywhere: filled beside its place, synced, then renamed into it. There as a whole or not at all.

What belongs here: folders that a user names. What does not: subset folders of a home (subsets), or what is in them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deita_assets.errors import UsageError


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """An empty hidden folder to fill; it gets the name `target` when the block ends, and goes when the block raises.

    What a kill left behind is removed at the next call for the same target; `flock` on the hidden folder itself tells
    it from one that another process is filling.

    Raises:
        UsageError: `target` exists, be it as a broken link, another process is filling it, or no folder can be made
            there.
        OSError: the disk is full or broken.
    """
    partial = target.with_name(f".{target.name}.part")
    try:
        _refuse_existing(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle = _claim(partial)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):  # no matter of the place
            raise
        raise UsageError(
            f"{target} cannot be made: {error.filename}: {error.strerror}.",
            cure="Name a folder in a place that can be written to.",
        ) from error
    try:
        for left in list(partial.iterdir()):  # by a kill
            shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        yield partial
        for path in [*partial.rglob("*"), partial]:
            sync(path)
        _refuse_existing(target)
        partial.rename(target)
        try:
            sync(target.parent)
        except BaseException:  # whoever is told of an error has no folder
            target.rename(partial)
            raise
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        os.close(handle)


def sync(path: Path) -> None:
    """Have a file or folder on the disk before anything after it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _claim(partial: Path) -> int:
    """The hidden folder, made and locked for this process; its descriptor."""
    partial.mkdir(exist_ok=True)
    handle = os.open(partial, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between opening and locking its owner may have given it the name of the target, or removed it.
        ours = os.path.samestat(os.fstat(handle), os.lstat(partial))
    except (BlockingIOError, FileNotFoundError):
        ours = False
    if not ours:
        os.close(handle)
        raise UsageError(
            f"{partial} is being filled by another process.", cure="Wait for it, or name another folder."
        )
    return handle


def _refuse_existing(target: Path) -> None:
    if os.path.lexists(target):
        raise UsageError(
            f"{target} exists.", cure="Name a folder that does not: nothing is ever overwritten."
        )
