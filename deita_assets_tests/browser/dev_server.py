"""A real `deita-assets dev` for tests: started on a free port, waited for, stopped without orphans.

What belongs here: the process and what the server says of itself. What does not: pages (dagster_ui).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deita_assets_tests.cli.commands import command_line, environment

#: Seconds: a cold start takes 15 on a quiet machine and was seen to take 60 on a busy one.
_START_S, _STOP_S = 240, 40
_DAEMONS = """
{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } }
  repositoriesOrError { ... on RepositoryConnection { nodes { name } } } }
"""


@dataclass(frozen=True)
class DevServer:
    """A running UI and daemon of one home."""

    home: Path
    url: str
    log: Path

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """One GraphQL query, for what the pages do not show."""
        asked = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.url}/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=60) as answer:  # noqa: S310 - loopback
            document = json.load(answer)
        assert "errors" not in document, document["errors"]
        return dict(document["data"])

    def log_tail(self, lines: int = 80) -> str:
        """The last lines of the log, without what DuckDB's binding prints at the end of a process."""
        told = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(
            [line for line in told if "nanobind" not in line and " - leaked " not in line][-lines:]
        )


@contextmanager
def dev_server(home: Path, log: Path, **variables: str) -> Iterator[DevServer]:
    """`deita-assets dev` of a home, ready for work: webserver, code server, and a daemon that beats.

    Raises:
        AssertionError: it ended, or was not ready in time; with the end of its log.
    """
    port = _free_port()
    server = DevServer(home, f"http://127.0.0.1:{port}", log)
    with log.open("wb") as written:
        process = subprocess.Popen(
            command_line(home, "dev", "--port", str(port)),
            stdout=written, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env=environment(**variables), start_new_session=True,
        )  # fmt: skip
    try:
        _wait(server, process, _answers, "/server_info")
        _wait(server, process, _beats, "the heartbeat of every daemon")
        yield server
    finally:
        _stop(process)


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def _wait(
    server: DevServer, process: subprocess.Popen[bytes], reached: Callable[[DevServer], bool], what: str
) -> None:
    deadline = time.monotonic() + _START_S
    while not reached(server):
        assert process.poll() is None, f"`dev` ended with {process.returncode}\n{server.log_tail()}"
        assert time.monotonic() < deadline, f"waited {_START_S} s for {what}\n{server.log_tail()}"
        time.sleep(1)


def _answers(server: DevServer) -> bool:
    try:
        with urllib.request.urlopen(f"{server.url}/server_info", timeout=30) as answer:  # noqa: S310
            return "dagster_version" in json.load(answer)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _beats(server: DevServer) -> bool:
    told = server.ask(_DAEMONS)
    daemons = [one for one in told["instance"]["daemonHealth"]["allDaemonStatuses"] if one["required"]]
    return (
        bool(daemons)
        and all(one["healthy"] for one in daemons)
        and bool(told["repositoriesOrError"].get("nodes"))
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the whole group, as a terminal would; SIGKILL for what is left of it."""
    with suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(_STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(_STOP_S)
