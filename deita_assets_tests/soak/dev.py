"""A real `deita-assets dev` and its processes, to be looked at, killed and started again.

What belongs here: processes. What does not: what they work on.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deita_assets_tests.cli.commands import command_line, environment

#: What the command line of a process of each role has in it.
ROLES = {
    "webserver": "dagster_webserver",
    "daemon": "dagster._daemon",
    "code server": "dagster api grpc",
    "run": "multiprocessing.spawn import spawn_main",
    "child": "deita_assets.engines.child",
}
_START_S = 240


@dataclass(frozen=True)
class Process:
    """A living process of the session of a `dev`."""

    pid: int
    parent: int
    role: str
    command: str


class Dev:
    """`deita-assets dev` of one home, in a session of its own."""

    def __init__(self, home: Path, port: int) -> None:
        self.home, self.port = home, port
        self.log = home.parent / "dev.log"
        self._process: subprocess.Popen[bytes] | None = None
        #: Sessions started: runs may outlive the `dev` that launched them.
        self._sessions: list[int] = []

    def start(self) -> None:
        """Start it and wait until the UI answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command_line(self.home, "dev", "--port", str(self.port)),
                stdout=log, stderr=subprocess.STDOUT, env=environment(), start_new_session=True,
            )  # fmt: skip
        self._sessions.append(self._process.pid)
        until(self._answers, "the UI to answer", _START_S)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"dev ended at its start: {self.log.read_text()[-2000:]}"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/server_info", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def processes(self, role: str | None = None) -> list[Process]:
        """Living processes of every session started, or those of one role."""
        found = [one for one in _living() if one[2] in self._sessions]
        named = [Process(pid, parent, _role(command), command) for pid, parent, _, command in found]
        return [one for one in named if role in (None, one.role)]

    @property
    def is_up(self) -> bool:
        """Whether `dev` itself runs."""
        return self._process is not None and self._process.poll() is None

    def kill(self, role: str) -> list[int]:
        """SIGKILL the processes of a role; returns their pids."""
        pids = [one.pid for one in self.processes(role)]
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return pids

    def kill_all(self) -> None:
        """SIGKILL everything at once, as a power cut would."""
        for one in self.processes():
            with suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        """End it as a person does; what is left after a minute is killed."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(60)
        self.kill_all()

    def _wait(self) -> None:
        assert self._process is not None
        self._process.wait(60)


def until(reached: Callable[[], object], what: str, seconds: float, every_s: float = 0.25) -> None:
    """Wait for something.

    Raises:
        AssertionError: it did not come within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(every_s)


def _living() -> list[tuple[int, int, int, str]]:
    """(pid, parent, session, command line) of every process that has not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            state, parent, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if state != "Z":
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append((int(folder.name), int(parent), int(session), command))
    return found


def _role(command: str) -> str:
    return next((role for role, sign in ROLES.items() if sign in command), "other")
