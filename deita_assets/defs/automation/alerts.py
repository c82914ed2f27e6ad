"""Alerts: what a person has to know of, told in the log, in `alerts.jsonl` of the home and to a webhook.

What belongs here: the shape of an alert and the three places it goes to. What does not: who raises one (alert_sensors
and the other sensors), which states were told already (told), or how the file and the webhook work (stores.alerts,
engines.webhook).
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from deita_assets.engines.webhook import WebhookError, post_json, webhook_address
from deita_assets.errors import DeitaError
from deita_assets.stores.alerts import append_alert
from deita_assets.stores.home import Home

#: A webhook that failed is left alone for so long.
PAUSE_S = 60.0
#: Seconds of posting in any stretch of `WINDOW_S`: Dagster ends a tick after 60 s, and up to five runs that ended are
#: told of in one. What is over stands in `alerts.jsonl`, and one closing post says how many that are.
BUDGET_S, WINDOW_S = 15.0, 60.0
_LOGGER = logging.getLogger("deita_assets.alerts")


@dataclass
class _Webhook:
    """What this process has asked of the webhook, by its monotonic clock.

    Attributes:
        resume_at: when it may be tried again after a failure.
        window_at: beginning of the present stretch.
        spent_s: seconds of posting in it.
    """

    resume_at: float = 0.0
    window_at: float = 0.0
    spent_s: float = 0.0

    def is_used_up(self) -> bool:
        """Whether the budget of the present stretch is spent."""
        if time.monotonic() - self.window_at >= WINDOW_S:
            self.window_at, self.spent_s = time.monotonic(), 0.0
        return self.spent_s >= BUDGET_S


_webhook = _Webhook()


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
    """Tell of one alert, as `raise_alerts` does."""
    raise_alerts(log, [alert], home=home)


def raise_alerts(log: Log, alerts: Sequence[Alert], *, home: Home | None = None) -> None:
    """Tell of alerts in `log`, the Python logger `deita_assets.alerts`, `alerts.jsonl` and the webhook.

    A file or webhook that fails is told of in `log` and never raises: the caller has more to do.

    Args:
        log: of the tick or run.
        alerts: what to tell.
        home: where `alerts.jsonl` stands; `$DEITA_HOME` when None. A home that does not exist is not made.
    """
    home = home or Home.at()
    for alert in alerts:
        note_alert(log, alert, home)
    post_alerts(log, alerts, home)


def note_alert(log: Log, alert: Alert, home: Home) -> None:
    """Tell of an alert on this machine: in `log`, the Python logger and `alerts.jsonl`."""
    log.error(alert.text)
    _LOGGER.error(alert.text)
    if not home.root.is_dir():
        return
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    try:
        append_alert(home, {"at": at, **asdict(alert)})
    except (OSError, DeitaError) as error:
        log.warning(f"alerts.jsonl could not be written: {error}")


def post_alerts(log: Log, alerts: Sequence[Alert], home: Home) -> None:
    """Post alerts to the webhook, as far as its budget goes, then how many more there are."""
    for at, alert in enumerate(alerts):
        if _webhook.is_used_up():
            left = len(alerts) - at
            more = Alert("more", "alerts.jsonl", f"and {left} more", "Read them there.")
            _post(log, more, home)
            return
        _post(log, alert, home)


def _post(log: Log, alert: Alert, home: Home) -> None:
    began = time.monotonic()
    try:
        address = webhook_address()
        if address is None or began < _webhook.resume_at:
            return
        # `text` is what services like Slack show; they pass over the rest.
        post_json(
            address, {"text": f"[{home.root.name}] {alert.text}", "home": home.root.name, **asdict(alert)}
        )
        _webhook.spent_s += time.monotonic() - began
    except WebhookError as error:
        _webhook.resume_at = time.monotonic() + PAUSE_S
        log.warning(
            f"{error} The alert stands in alerts.jsonl; the webhook is left alone for {PAUSE_S:.0f} s."
        )
    except DeitaError as error:
        log.warning(str(error))
