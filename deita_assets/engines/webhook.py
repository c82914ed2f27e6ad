"""The webhook of alerts: a JSON body posted to the address in `DEITA_ALERT_WEBHOOK`.

The address is a secret, because whoever has it can post. No error, log or listing here ever holds it, nor a part of it.

What belongs here: which addresses are allowed, and posting. What does not: what is posted (defs.automation.alerts).
"""

from __future__ import annotations

import ipaddress
import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from deita_assets.errors import DeitaError, SettingsError
from deita_assets.settings import WEBHOOK_VARIABLE

#: Looking the name up, connecting, sending and the answer's first line, all together.
TIMEOUT_S = 5.0


class WebhookError(DeitaError):
    """A body was not taken; the message says what came back, and never where from."""


def webhook_address() -> str | None:
    """The address alerts are posted to; None when none is set.

    Raises:
        SettingsError: it is neither https nor http on loopback, or holds a user name.
    """
    address = os.environ.get(WEBHOOK_VARIABLE, "").strip()
    if not address:
        return None
    fault = _fault(address)
    if fault:
        raise SettingsError(
            f"{WEBHOOK_VARIABLE}: {fault}.",
            cure="Give an https:// address, or http:// on this machine (127.0.0.1, [::1] or localhost); its value is "
            "kept out of this message.",
        )
    return address


def post_json(address: str, body: Mapping[str, Any]) -> None:
    """Post `body` and wait for an answer of 200 to 299, at most `TIMEOUT_S`. Redirects are not followed.

    Raises:
        WebhookError: no such answer came.
    """
    outcome: list[str] = []
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked by webhook_address
        address,
        data=json.dumps(body, ensure_ascii=False).encode("utf-8", "backslashreplace"),
        headers={"Content-Type": "application/json; charset=utf-8", "User-Agent": "deita-assets"},
    )
    # In a thread of its own: the timeout of a socket bounds neither the look-up of a name nor an answer that comes
    # in drops.
    sender = threading.Thread(target=lambda: outcome.append(_sent(request)), daemon=True)
    sender.start()
    sender.join(TIMEOUT_S)
    fault = outcome[0] if outcome else f"no answer within {TIMEOUT_S:g} s"
    if fault:
        raise WebhookError(f"the webhook did not take an alert: {fault}.", cure=f"Check {WEBHOOK_VARIABLE}.")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """None: the answer counts as it is; another host might be told what it should not know."""


def _sent(request: urllib.request.Request) -> str:
    """What went wrong, without the address; empty when nothing did."""
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if request.type == "http":
        handlers.append(urllib.request.ProxyHandler({}))  # loopback is reached without one
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=TIMEOUT_S):
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return f"HTTP status {error.code}"
    except Exception as error:  # noqa: BLE001 - messages of urllib and ssl may hold the address
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        shown = cause.strerror if isinstance(cause, OSError) and cause.errno else None
        return shown or type(cause).__name__


def _fault(address: str) -> str:
    """Why an address is refused, without a part of it; empty when it is not."""
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "not an address"
    if not address.isascii() or not address.isprintable() or " " in address:
        return "found blanks or characters that no address holds"
    if parts.username is not None or parts.password is not None:
        return "found a user name or password before the host"
    if parts.scheme == "https" and host:
        return ""
    if parts.scheme != "http" or not host:
        return "expected an https:// address"
    return (
        ""
        if _is_loopback(parts)
        else "found http:// to another machine, where everyone between could read it"
    )


def _is_loopback(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
