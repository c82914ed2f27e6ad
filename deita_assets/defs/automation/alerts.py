"""Alerts: what a person has to know of, told in the log, in `alerts.jsonl` of the home and to a webhook.

What belongs here: the shape of an alert and the three places it goes to. What does not: who raises one (alert_sensors
and the other sensors), or how the file and the webhook work (stores.alerts, engines.webhook).
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from dataclasses import asdict, dataclass
from typing import Protocol

from deita_assets.engines.webhook import WebhookError, post_json, webhook_address
from deita_assets.errors import DeitaError
from deita_assets.stores.alerts import append_alert
from deita_assets.stores.home import Home

#: A webhook that failed is left alone for so long: a tick with many alerts has 60 s in all.
PAUSE_S = 60.0
_LOGGER = logging.getLogger("deita_assets.alerts")
#: When the webhook may be tried again, by the monotonic clock of this process.
_resume_at = 0.0


class Log(Protocol):
    """A Python logger, or the log of a run or tick."""

    def error(self, msg: str) -> object:
        """Write one line."""
        ...

    def warning(self, msg: str) -> object:
        """Write one line."""
        ...


@dataclass(frozen=True)
class Alert:
    """One thing that a person should look at; no text of rows stands in it.

    Attributes:
        kind: what happened, such as `run_failure`, `check_failure`, `gave_up`, `removals_withheld`.
        subject: what it happened to, such as `scored_pool[lima]`.
        message: what was found.
        cure: what to do.
        run_id: the Dagster run, where there is one.
    """

    kind: str
    subject: str
    message: str
    cure: str
    run_id: str | None = None

    @property
    def text(self) -> str:
        """All of it on one line."""
        run = f" (run {self.run_id[:8]})" if self.run_id else ""
        stop = "" if not self.message or self.message.endswith((".", "!", "?")) else "."
        return " ".join(f"{self.kind}: {self.subject}{run}: {self.message}{stop} {self.cure}".split())


def raise_alert(log: Log, alert: Alert, *, home: Home | None = None) -> None:
    """Tell of an alert in `log`, the Python logger `deita_assets.alerts`, `alerts.jsonl` and the webhook.

    A file or webhook that fails is told of in `log` and never raises: the caller has more to do.

    Args:
        log: of the tick or run.
        alert: what to tell.
        home: where `alerts.jsonl` stands; `$DEITA_HOME` when None. A home that does not exist is not made.
    """
    home = home or Home.at()
    log.error(alert.text)
    _LOGGER.error(alert.text)
    if home.root.is_dir():
        at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        try:
            append_alert(home, {"at": at, **asdict(alert)})
        except (OSError, DeitaError) as error:
            log.warning(f"alerts.jsonl could not be written: {error}")
    _post(log, alert, home)


def _post(log: Log, alert: Alert, home: Home) -> None:
    global _resume_at
    try:
        address = webhook_address()
        if address is None or time.monotonic() < _resume_at:
            return
        # `text` is what services like Slack show; they pass over the rest.
        post_json(
            address, {"text": f"[{home.root.name}] {alert.text}", "home": home.root.name, **asdict(alert)}
        )
    except WebhookError as error:
        _resume_at = time.monotonic() + PAUSE_S
        log.warning(
            f"{error} The alert stands in alerts.jsonl; the webhook is left alone for {PAUSE_S:.0f} s."
        )
    except DeitaError as error:
        log.warning(str(error))
