"""The webhook of alerts: which addresses are allowed, what is posted, and that nothing ever tells the address."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deita_assets.engines import webhook
from deita_assets.engines.webhook import WebhookError, post_json, webhook_address
from deita_assets.errors import SettingsError

SECRET = "s3cr3t-path"  # noqa: S105 - a made-up one


class Hook:
    """A loopback server that notes what it is asked and answers as it is told."""

    def __init__(self) -> None:
        self.bodies: list[dict] = []
        self.asked: list[tuple[str, str]] = []
        self.status, self.headers, self.wait = 200, {}, threading.Event()
        self.wait.set()
        hook = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.asked.append((self.command, self.path))
                hook.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                hook.wait.wait(30)
                self.send_response(hook.status)
                for name, value in hook.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def do_GET(self) -> None:
                hook.asked.append((self.command, self.path))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.address = f"http://127.0.0.1:{self.server.server_port}/{SECRET}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.wait.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    made = Hook()
    yield made
    made.close()


@pytest.mark.parametrize(
    "address",
    [
        "https://hooks.example.org/services/x?y=1", "https://[2001:db8::1]:8443/x", "http://127.0.0.1:9/x",
        "http://127.8.8.8/x", "http://[::1]:9/x", "http://localhost:3000", "HTTPS://hooks.example.org/x",
    ],
)  # fmt: skip
def test_https_anywhere_and_http_on_this_machine(monkeypatch, address) -> None:
    monkeypatch.setenv("DEITA_ALERT_WEBHOOK", address)
    assert webhook_address() == address


@pytest.mark.parametrize(
    "address",
    [
        f"http://hooks.example.org/{SECRET}", f"http://10.0.0.1/{SECRET}", f"http://127.0.0.1.example.org/{SECRET}",
        f"http://localhost.example.org/{SECRET}", f"http://0.0.0.0/{SECRET}", f"ftp://127.0.0.1/{SECRET}",
        f"file:///{SECRET}", f"//hooks.example.org/{SECRET}", SECRET, f"https:///{SECRET}",
        f"https://someone:{SECRET}@hooks.example.org/x", f"http://127.0.0.1@evil.example.org/{SECRET}",
        f"https://hooks.example.org:port/{SECRET}", f"https://[::1/{SECRET}", f"https://hooks.example.org/a b{SECRET}",
        f"https://hooks.example.org/{SECRET}\r\nHost: other", f"https://hooks.exämple.org/{SECRET}",
    ],
)  # fmt: skip
def test_any_other_address_is_refused_without_being_told(monkeypatch, address) -> None:
    monkeypatch.setenv("DEITA_ALERT_WEBHOOK", address)
    with pytest.raises(SettingsError) as refused:
        webhook_address()
    told = repr(refused.value) + str(refused.value)
    assert "DEITA_ALERT_WEBHOOK" in told
    assert refused.value.cure
    assert SECRET not in told
    assert "example" not in told


@pytest.mark.parametrize("value", [None, "", "  "])
def test_no_address_is_none(monkeypatch, value) -> None:
    monkeypatch.delenv("DEITA_ALERT_WEBHOOK", raising=False)
    if value is not None:
        monkeypatch.setenv("DEITA_ALERT_WEBHOOK", value)
    assert webhook_address() is None


def test_the_body_arrives_as_json(hook) -> None:
    post_json(hook.address, {"text": "drei Äpfel \ud800", "run_id": None})
    assert hook.asked == [("POST", f"/{SECRET}")]
    assert hook.bodies == [{"text": "drei Äpfel \ud800", "run_id": None}]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(hook, status) -> None:
    other = Hook()
    hook.status, hook.headers = status, {"Location": other.address}
    with pytest.raises(WebhookError, match=f"HTTP status {status}") as refused:
        post_json(hook.address, {"text": "x"})
    other.close()
    assert other.asked == []
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_refusal_is_told_by_its_status(hook, status) -> None:
    hook.status = status
    with pytest.raises(WebhookError, match=f"HTTP status {status}"):
        post_json(hook.address, {"text": "x"})


def test_nobody_there(hook) -> None:
    hook.close()
    with pytest.raises(WebhookError, match="refused") as refused:
        post_json(hook.address, {"text": "x"})
    assert SECRET not in str(refused.value) + repr(refused.value.__cause__)


def test_one_that_does_not_answer_is_given_up(hook, monkeypatch) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT_S", 0.2)
    hook.wait.clear()
    with pytest.raises(WebhookError, match="no answer within 0.2 s|timed out|TimeoutError"):
        post_json(hook.address, {"text": "x"})


def test_an_answer_in_drops_is_given_up_too(monkeypatch) -> None:
    """The timeout of a socket begins anew with every drop."""
    monkeypatch.setattr(webhook, "TIMEOUT_S", 0.5)
    over = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection, suppress(OSError):
            for _ in range(100):
                connection.sendall(b"H")
                if over.wait(0.1):
                    return

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drip, args=(server,), daemon=True).start()
        with pytest.raises(WebhookError, match="no answer within 0.5 s"):
            post_json(f"http://127.0.0.1:{server.getsockname()[1]}/x", {"text": "x"})
        over.set()


def test_loopback_is_reached_without_a_proxy(hook, monkeypatch) -> None:
    proxy = Hook()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.server.server_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    post_json(hook.address, {"text": "x"})
    proxy.close()
    assert (len(hook.asked), proxy.asked) == (1, [])
