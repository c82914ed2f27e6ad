"""`alerts.jsonl` in the home: what automation had to say to a person, one JSON object a line, oldest first.

What belongs here: appending, capping and reading. What does not: what is worth an alert, or telling it elsewhere.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deita_assets.stores.home import Home
from deita_assets.stores.lock import file_lock

FILE = "alerts.jsonl"
#: The lines before those of `alerts.jsonl`, once that was full; older ones are let go.
EARLIER = "alerts.1.jsonl"
#: Some 4,000 alerts.
MOST_BYTES = 1_000_000


def append_alert(home: Home, alert: Mapping[str, Any]) -> None:
    """Add one line; a full file becomes `alerts.1.jsonl` first.

    Args:
        home: where; its root exists.
        alert: JSON values; `at` is its time, UTC, in ISO 8601.

    Raises:
        OSError: the home cannot be written to.
        LockTimeoutError: another process holds the file.
    """
    file = home.root / FILE
    line = json.dumps(alert, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
    with file_lock(home.locks / "alerts.lock", "write an alert", deadline_s=5):
        if file.exists() and file.stat().st_size + len(line) > MOST_BYTES:
            file.replace(home.root / EARLIER)
        _add(file, line)


def alerts_since(home: Home, moment: dt.datetime) -> list[dict[str, Any]]:
    """Alerts raised at `moment` (with its time zone) or later, oldest first; other lines are passed over."""
    found = []
    for name in (EARLIER, FILE):
        file = home.root / name
        for line in file.read_bytes().splitlines() if file.exists() else []:
            alert = _parsed(line)
            if alert is not None and dt.datetime.fromisoformat(alert["at"]) >= moment:
                found.append(alert)
    return found


def _add(file: Path, line: bytes) -> None:
    """Append; begins a line of its own where a kill left half of one."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = os.fstat(handle).st_size
        whole = size == 0 or os.pread(handle, 1, size - 1) == b"\n"
        os.write(handle, line if whole else b"\n" + line)
    finally:
        os.close(handle)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        alert = json.loads(line)
        dt.datetime.fromisoformat(alert["at"]).astimezone()
    except (ValueError, TypeError, KeyError):
        return None
    return alert if isinstance(alert, dict) else None
