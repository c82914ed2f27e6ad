"""Marks: small JSON files of a home that tell what happened to a name, and when, to whom the stores are out of reach.

Sensors ask every few seconds what is stale and open no store; a mark is what they see of a change inside one.

What belongs here: reading and adding marks. What does not: what a mark means (takedowns, let_go).
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from pathlib import Path

from deita_assets.stores.whole_file import write_whole


def read(path: Path) -> dict[str, str]:
    """Name -> when it was marked last, in ISO format; empty without any."""
    try:
        marks: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return marks


def add(path: Path, names: Iterable[str], at: dt.datetime) -> None:
    """Mark names; to be called under the warehouse's lock, so that nobody sees the mark and then the old rows."""
    marks = read(path) | dict.fromkeys(names, at.isoformat())
    for left in path.parent.glob(f".{path.name}.*.part"):  # by a kill: under that lock nobody else writes
        left.unlink(missing_ok=True)
    write_whole(path, json.dumps(marks, indent=1, sort_keys=True) + "\n")
