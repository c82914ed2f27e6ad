"""A past home: a temporary home inside the real one, with a warehouse of its own and the real LanceDB tables.

It stands on the disk of the real home and goes when it is left; what a kill leaves of it, the next one removes. Its
`lance` is a link: tables there are keyed by content and only ever added to, so that they are past and present at once.
Whoever works in it must open tables that exist and make none.

What belongs here: the folder and its end. What does not: what is copied into it (stores.past), or made in it (rebuild).
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deita_assets.errors import LockTimeoutError
from deita_assets.stores.home import Home
from deita_assets.stores.lock import file_lock
from deita_assets.stores.warehouse import Warehouse

#: No source may begin with a dot, so no ingest takes such a folder for one of its own.
_PREFIX = ".reproduce-"
_IN_USE = "in_use.lock"


@contextmanager
def past_home(home: Home) -> Iterator[Warehouse]:
    """The warehouse of a fresh past home below `home.staging`, migrated and empty; several may stand side by side."""
    with ExitStack() as held:
        root = _new_folder(home, held)
        try:
            (root / "lance").symlink_to(home.lance.resolve())
            past = Warehouse(Home(root))
            past.migrate()
            yield past
        finally:
            shutil.rmtree(root, ignore_errors=True)


def _new_folder(home: Home, held: ExitStack) -> Path:
    """A folder that is marked as in use before anybody else may look for left-overs."""
    with file_lock(home.locks / "reproduce.lock", "make a past home"):
        for left in home.staging.glob(f"{_PREFIX}*"):
            _remove_left(left)
        root = home.staging / f"{_PREFIX}{uuid.uuid4().hex[:12]}"
        root.mkdir(parents=True)
        held.enter_context(file_lock(root / _IN_USE, "rebuild a version"))
    return root


def _remove_left(left: Path) -> None:
    try:
        with file_lock(left / _IN_USE, "remove what a kill left", deadline_s=0):
            shutil.rmtree(left, ignore_errors=True)
    except LockTimeoutError:  # its process lives
        return
