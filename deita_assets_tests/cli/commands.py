"""Running the command line in a process of its own, as a user does, and reading what it prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Output:
    """What one command left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


def command_line(home: Path, *arguments: str) -> list[str]:
    return [
        sys.executable,
        "-c",
        "from deita_assets.cli import main; main()",
        "--home",
        str(home),
        *arguments,
    ]


def environment(**extra: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DEITA_", "DAGSTER_"))}
    return {**kept, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **extra}


def deita(home: Path, *arguments: str, **extra: str) -> Output:
    done = subprocess.run(
        command_line(home, *arguments),
        capture_output=True,
        text=True,
        env=environment(**extra),
        timeout=300,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Output(done.returncode, done.stdout, done.stderr)


def chat(user: str, assistant: str, **more: Any) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}],
        **more,
    }


def write_jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


#: A pool small enough to embed in a second: a near-duplicate pair, an exact duplicate, a bad row.
TEA = [
    chat(
        "How long should I steep green tea?",
        "Two to three minutes at 75 to 80 degrees; longer turns bitter.",
        id="tea-1",
    ),
    chat(
        "How long should I steep green tea, please?",
        "Two to three minutes at 75 to 80 degrees; longer turns bitter.",
    ),
    chat(
        "Prove that the square root of 2 is irrational, and explain why each step is needed.",
        "Suppose sqrt(2) = p/q in lowest terms. Then p^2 = 2 q^2, so p^2 is even, and so p is even: p = 2r. "
        "Then 4 r^2 = 2 q^2, so q^2 = 2 r^2 and q is even too. That contradicts lowest terms. Lowest terms are "
        "needed because otherwise both numbers could be halved without end; the step from p^2 to p needs that "
        "an odd number has an odd square.",
    ),
    chat("Name a colour.", "Blue."),
    chat("Name a colour.", "Blue."),
    {"messages": "not a list"},
]
MATHS = [
    {"instruction": "Compare bubble sort and merge sort.", "input": "",
     "output": "Bubble sort takes n^2 steps, merge sort n log n; merge sort needs a second array."},
    {"instruction": "Translate to German.", "input": "The river is cold.", "output": "Der Fluss ist kalt."},
    {"instruction": "Why is the sky blue?", "input": "",
     "output": "Air scatters short wavelengths more strongly than long ones, so blue light comes from all sides."},
]  # fmt: skip
