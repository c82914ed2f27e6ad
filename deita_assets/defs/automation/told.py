"""Which states were alerted and still last: each is told once, whoever notices it, sensor or schedule.

They stand in `alerts_told.json` of the home, part by part: who has looked at all that belongs to a part gives it anew,
and leaves the others as they were. So nothing is told twice because two look at it, or because settings could not be
read for a while.

What belongs here: the file, and telling what is new. What does not: what is worth an alert (standing), or where it
goes (alerts).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from deita_assets.defs.automation.alerts import Log, note_alert, post_alerts
from deita_assets.defs.automation.standing import Standing, failure
from deita_assets.defs.platform import Platform
from deita_assets.errors import LockTimeoutError
from deita_assets.stores.home import Home
from deita_assets.stores.lock import file_lock
from deita_assets.stores.whole_file import write_whole

FILE = "alerts_told.json"
#: Seconds for another tick to write its lines of `alerts.jsonl`.
_DEADLINE_S = 10.0
#: Root of a home -> what its file would say, where that could not be written: a full disk is told of once too.
_unwritten: dict[Path, dict[str, list[str]]] = {}


def tell(log: Log, home: Home, parts: Mapping[str, Iterable[Standing]]) -> None:
    """Raise the alerts of states that were not told yet, and forget those of these parts that ended.

    What is new is written down before it is posted: a tick that dies between the two has told the log and
    `alerts.jsonl`, and is not repeated.

    Args:
        log: of the tick.
        home: whose states.
        parts: part -> every state of it that lasts now.
    """
    found = {part: dict(standing) for part, standing in parts.items()}
    try:
        with ExitStack() as held:
            with suppress(OSError):  # a full disk is told of all the same
                held.enter_context(
                    file_lock(home.locks / "alerts-told.lock", "tell of alerts", deadline_s=_DEADLINE_S)
                )
            before = _read(home)
            after = {**before, **{part: sorted(states) for part, states in found.items()}}
            known = {key for part in found for key in before.get(part, ())}
            new = {
                key: alert for states in found.values() for key, alert in states.items() if key not in known
            }
            for alert in new.values():
                note_alert(log, alert, home)
            if after != before:
                _write(log, home, after)
    except LockTimeoutError as error:  # the states last, so the next tick tells
        log.warning(f"alerts are told later: {error}")
        return
    post_alerts(log, list(new.values()), home)


@contextmanager
def told_if_it_fails(log: Log, platform: Platform, tick: str) -> Iterator[None]:
    """One alert for a tick that fails again and again, in a part of its own; the tick fails all the same."""
    try:
        yield
    except Exception as error:
        with suppress(Exception):  # what stopped the tick may stop this
            tell(log, platform.home, {tick: [failure(tick, error)]})
        raise
    tell(log, platform.home, {tick: []})


def _read(home: Home) -> dict[str, list[str]]:
    """Part -> keys of states that were told; nothing where the file is missing or cannot be read."""
    if home.root in _unwritten:
        return _unwritten[home.root]
    try:
        kept = json.loads((home.root / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(kept, dict):
        return {}
    return {part: keys for part, keys in kept.items() if isinstance(keys, list)}


def _write(log: Log, home: Home, told: dict[str, list[str]]) -> None:
    try:
        write_whole(home.root / FILE, json.dumps(told, sort_keys=True))
        _unwritten.pop(home.root, None)
    except OSError as error:
        _unwritten[home.root] = told
        log.warning(f"{FILE} could not be written: {error}")
