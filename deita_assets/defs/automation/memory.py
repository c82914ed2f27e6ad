"""What a sensor remembers from one tick to the next: how landing stood, and which states were alerted.

What belongs here: the cursor. What does not: anything that decides what is stale; that stands in the records.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from deita_assets.defs.automation.alerts import Alert, Log, raise_alert
from deita_assets.stores.home import Home


@dataclass(frozen=True)
class Memory:
    """The cursor of a sensor.

    Attributes:
        states: source -> state of its landing folder at the last tick.
        told: states that were alerted and still last.
    """

    states: dict[str, str] = field(default_factory=dict)
    told: frozenset[str] = frozenset()

    @classmethod
    def of(cls, cursor: str | None) -> Memory:
        """Read a cursor; one of an older form, or none, remembers nothing."""
        try:
            kept = json.loads(cursor or "{}")
        except ValueError:
            return cls()
        states, told = (kept.get("states"), kept.get("told")) if isinstance(kept, dict) else (None, None)
        return cls(
            states if isinstance(states, dict) else {},
            frozenset(told) if isinstance(told, list) else frozenset(),
        )

    def cursor(self) -> str:
        """As text."""
        return json.dumps({"states": self.states, "told": sorted(self.told)}, sort_keys=True)

    def tell(self, log: Log, home: Home, alerts: Iterable[tuple[str, Alert]]) -> Memory:
        """Raise the alerts (key, alert) of states that were not told of; forget the states that ended."""
        keys = set()
        for key, alert in alerts:
            if key not in self.told and key not in keys:
                raise_alert(log, alert, home=home)
            keys.add(key)
        return Memory(self.states, frozenset(keys))
