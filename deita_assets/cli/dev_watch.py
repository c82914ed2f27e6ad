"""Ends `deita-assets dev` when its code server was killed: `python -m deita_assets.cli.dev_watch PID`.

Dagster ends with its daemon or its webserver, but starts no code server in the place of a killed one: the UI goes on,
and every sensor and every launch fails, until somebody reloads the code location. Whatever looks after services
restarts one that has ended.

What belongs here: watching processes through /proc; elsewhere than on Linux it watches nothing. What does not: Dagster.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

EVERY_S = 5.0
#: Seconds without a code server that are no fault: reloading the code location replaces it.
GRACE_S = 30.0
_CODE_SERVER = b"dagster\0api\0grpc"


def watch(dev: int, *, every_s: float = EVERY_S, grace_s: float = GRACE_S) -> bool:
    """Wait for the end of `dev`, the parent of this process, or end it; returns whether it was ended here."""
    had_one, missing_since = False, 0.0
    while os.getppid() == dev:
        if any(_CODE_SERVER in command for command in _descendants(dev)):
            had_one, missing_since = True, 0.0
        elif had_one:
            missing_since = missing_since or time.monotonic()
            if time.monotonic() - missing_since >= grace_s:
                sys.stderr.write("The code server has ended; so does this. Start `deita-assets dev` again.\n")
                sys.stderr.flush()
                os.kill(dev, signal.SIGTERM)
                return True
        time.sleep(every_s)
    return False


def _descendants(pid: int) -> list[bytes]:
    """Command lines of the children of a process, and of theirs."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found, queue = [], children.get(pid, [])
    while queue:
        child = queue.pop()
        queue += children.get(child, [])
        with suppress(OSError):
            found.append(Path(f"/proc/{child}/cmdline").read_bytes())
    return found


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C goes to all of them; this one has nothing to say
    watch(int(sys.argv[1]))
