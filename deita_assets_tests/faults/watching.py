"""A process that looks at published things all the time, as a reader would, while others write and are killed.

It sees every home below a folder: visible folders under `subsets/`, visible exports, and `serving.duckdb`. Whatever is
visible has to be whole. What it finds wrong it writes down.

What belongs here: looking. What does not: bringing anything about.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deita_assets.stores.subsets import check_folder
from deita_assets_tests import crashes

_PAUSE_S = 0.01
#: Of one state of the warehouse, whichever: what two views say of one thing.
_WHOLE = """
select
    (select count(*) from pool) as pool,
    (select coalesce(sum(n_rows), 0) from selections) as promised,
    (select count(*) from selected) as selected,
    (select count(*) from quarantine) as quarantined
"""


@dataclass
class Watch:
    """What a reader saw.

    Attributes:
        looks: folders and copies that it read whole.
        faults: what was not whole, in words.
    """

    looks: int = 0
    faults: tuple[str, ...] = ()


@contextmanager
def watched_all_the_time(folder: Path, report: Path) -> Iterator[Watch]:
    """A reader of the homes at `folder/*/home` as long as the block lasts; its findings are in `Watch` then."""
    stop, ready = crashes.event(), crashes.event()
    reader = crashes.start(look_all_the_time, folder, report, ready, stop)
    watch = Watch()
    try:
        assert ready.wait(60)
        yield watch
    finally:
        stop.set()
        code = crashes.finish(reader)
    assert code == 0, f"the reader ended with {code}"
    seen = json.loads(report.read_text())
    watch.looks, watch.faults = seen["looks"], tuple(seen["faults"])


def look_all_the_time(folder: Path, report: Path, ready: Any, stop: Any) -> None:
    """The task of the reader's process."""
    eyes = _Eyes()
    ready.set()
    while not stop.is_set():
        eyes.look(folder)
        time.sleep(_PAUSE_S)
    eyes.look(folder)
    report.write_text(json.dumps({"looks": eyes.looks, "faults": sorted(eyes.faults)}))


class _Eyes:
    def __init__(self) -> None:
        self.looks, self.faults = 0, set[str]()
        self._known: set[Any] = set()

    def look(self, folder: Path) -> None:
        for one in sorted(folder.glob("[!.]*")):
            for subset in one.glob("home/subsets/*/*/*/[!.]*"):
                self._at(one, subset, subset, check_folder)
            for export in one.glob("exports/[!.]*"):
                self._at(one, export, export, _check_export)
            serving = one / "home" / "serving.duckdb"
            try:
                found = serving.stat()
            except FileNotFoundError:
                continue
            self._at(one, serving, (serving, found.st_ino, found.st_mtime_ns), _check_serving)

    def _at(self, one: Path, path: Path, edition: Any, check: Any) -> None:
        """Look once at each edition of a thing."""
        if edition in self._known:
            return
        self._known.add(edition)
        try:
            check(path)
            self.looks += 1
        except Exception as error:  # whatever it is, a reader met it
            if one.exists():
                self.faults.add(f"{path.relative_to(one)}: {type(error).__name__}: {error}")


def _check_export(folder: Path) -> None:
    told = json.loads((folder / "export.json").read_text())
    for name, entry in told["files"].items():
        with (folder / name).open("rb") as handle:
            assert hashlib.file_digest(handle, "sha256").hexdigest() == entry["sha256"], name


def _check_serving(path: Path) -> None:
    import duckdb

    with duckdb.connect(str(path), read_only=True) as con:
        pool, promised, selected, _ = con.execute(_WHOLE).fetchall()[0]
    assert promised == selected, f"{selected} rows of versions that have {promised}"
