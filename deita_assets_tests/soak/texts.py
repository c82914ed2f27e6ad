"""Conversations out of a seed: enough alike that some are near-duplicates, and no two the same.

What belongs here: rows. What does not: files.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

from deita_assets_tests.cli.commands import chat

_SUBJECTS = ("bridges", "tea", "sorting", "maps", "whales", "clocks", "grammar", "rain", "loans", "bread")
_ASKED = ("How do {} work", "Compare two kinds of {}", "Write a plan about {}", "What may go wrong with {}")
_WORDS = ["first", "second", "because", "example", "measure", "therefore", "list", "slow", "fast", "careful", "water",
          "steel", "leaf", "paper", "river", "method", "proof", "result", "budget", "question"]  # fmt: skip


def conversations(rng: Random, n: int) -> list[dict[str, Any]]:
    """`n` new conversations; about every fourth is a near-duplicate of the one before."""
    made: list[dict[str, Any]] = []
    for _ in range(n):
        if made and rng.random() < 0.25:
            before = made[-1]["messages"]
            made.append(chat(before[0]["content"] + " please?", before[1]["content"]))
            continue
        asked = rng.choice(_ASKED).format(rng.choice(_SUBJECTS))
        words = rng.choices(_WORDS, k=rng.randint(8, 60))
        made.append(
            chat(f"{asked}, case {rng.randrange(10**9)}?", f"{' '.join(words)}. {rng.randrange(10**9)}")
        )
    return made


def read(path: Path) -> list[dict[str, Any]]:
    """Rows of a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a file at one stroke, as a careful program does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    unfinished.replace(path)
