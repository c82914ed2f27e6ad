"""A published home that somebody tries to get into, or out of, and what has to hold whatever is tried.

What belongs here: that home, cases, and asking how an attempt ended. What does not: the attempts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from deita_assets.cli import cli
from deita_assets.errors import DeitaError
from deita_assets.stores.home import Home
from deita_assets_tests.faults.input_home import InputHome
from deita_assets_tests.faults.invariant import Look, holds
from deita_assets_tests.faults.matrix import Fault

_NOTHING_CHANGES = ("refused", "error", "impossible")


@dataclass(frozen=True)
class Case:
    """One attempt: `do` makes it, asserts how it ends and says what it saw."""

    fault: Fault
    do: Callable[[Guarded], str]

    def __str__(self) -> str:
        return f"{self.fault} {self.fault.how}".replace(" ", "-")[:80]


class Guarded:
    """A home with a published subset, a folder beside it, and a file in it that no attempt may make."""

    def __init__(self, study: InputHome, folder: Path) -> None:
        self.study, self.home, self.folder = study, study.home, folder
        #: What code that comes in would write, if it ran.
        self.canary = folder / "canary"

    def file(self, name: str, content: str | bytes | Any = b'{"instruction": "q", "output": "a"}\n') -> Path:
        """A file beside the home: bytes, text, or anything else as JSON."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, str | bytes):
            content = json.dumps(content)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def settings(self, text: str) -> None:
        self.home.settings.write_text(text, encoding="utf-8")

    def command(self, *arguments: str) -> str:
        """What a command prints; its error is raised."""
        return command(self.home, *arguments)


def command(home: Home, *arguments: str) -> str:
    """What a command prints on stdout, run in this process; its error is raised."""
    done = CliRunner().invoke(cli, ["--home", str(home.root), *arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


@contextmanager
def unharmed(at: Guarded, fault: Fault) -> Iterator[None]:
    """The invariant around an attempt; one that is turned away moves no pool, no head and no published byte."""
    before = Look.at(at.home)
    yield
    holds(before, Look.at(at.home), succeeded=fault.outcome not in _NOTHING_CHANGES)
    assert not at.canary.exists(), "code that came in was run"


def refused(call: Callable[[], Any], pattern: str, kind: type[DeitaError] = DeitaError) -> str:
    """Class and gist of the error that `call` must end in; it has to say what to do."""
    with pytest.raises(kind) as caught:
        call()
    found = re.search(pattern, caught.value.message)
    assert found, caught.value.message
    assert caught.value.cure
    return f"{type(caught.value).__name__}: {found[0]}"
