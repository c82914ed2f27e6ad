"""What a sensor remembers from one tick to the next: how landing stood, and since when something waits.

What belongs here: the cursor. What does not: anything that decides what is stale; that stands in the records. Nor what
was alerted, which more than one of them tells (told).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

#: Seconds of waiting for files to stand still after which a person is told, and mixtures go on without them.
LONGEST_WAIT_S = 3600.0


@dataclass(frozen=True)
class Memory:
    """The cursor of a sensor.

    Attributes:
        states: source -> state of its landing folder at the last tick.
        since: what waited at every tick -> since when, in seconds since 1970.
    """

    states: dict[str, str] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, cursor: str | None) -> Memory:
        """Read a cursor; one of an older form, or none, remembers nothing."""
        try:
            kept = json.loads(cursor or "{}")
        except ValueError:
            return cls()
        return cls(_kept(kept, "states", str), _kept(kept, "since", float))

    def cursor(self) -> str:
        """As text."""
        return json.dumps({"states": self.states, "since": self.since}, sort_keys=True)

    def waiting(self, names: Iterable[str], now: float) -> dict[str, float]:
        """Since when each of `names` waits that waits now; what waits no more is forgotten."""
        return {name: self.since.get(name, now) for name in names}

    def overdue(self, now: float) -> frozenset[str]:
        """What has waited for too long."""
        return frozenset(name for name, since in self.since.items() if now - since >= LONGEST_WAIT_S)


def _kept(kept: object, name: str, kind: type) -> dict[str, Any]:
    """One part of a cursor, where it is what it should be."""
    part = kept.get(name) if isinstance(kept, dict) else None
    if not isinstance(part, dict):
        return {}
    return {key: value for key, value in part.items() if isinstance(value, kind)}
