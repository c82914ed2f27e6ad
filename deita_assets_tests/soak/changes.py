"""Random changes to a home at work: files that arrive, grow, change and leave, and settings that are edited.

What belongs here: one method for each kind of change, all of them out of one seed. What does not: kills, and when a
change is made.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from deita_assets_tests.cli.commands import deita
from deita_assets_tests.soak import texts

SOURCES = ("aa", "bb", "cc", "dd")
#: Rows of a source's first file, and of each later one: one later file is always less than 20 % of its source, the
#: most that leaves without being asked.
N_FIRST, N_LATER = 24, 4


class Changes:
    """What a person does to one home; every choice comes from `rng`."""

    def __init__(self, home: Path, rng: Random) -> None:
        self.home, self.rng = home, rng
        self.done: list[str] = []
        self._n_files = 0
        self.settings: dict[str, dict[str, Any]] = {
            "": {"budgets": [6]},
            "scorer": {"name": "heuristic"},
            "sources.aa": {"budgets": [4]},
        }

    def begin(self, sources: int) -> None:
        """Settings and the first sources, before anything runs."""
        self._write_settings()
        for source in SOURCES[:sources]:
            self._first(source)

    def one(self) -> str:
        """Make one change; returns what it was."""
        kinds: list[tuple[int, Callable[[], str | None]]] = [
            (2, self.arrive), (3, self.later_file), (3, self.append), (3, self.replace), (2, self.withdraw),
            (2, self.remove), (2, self.threshold), (2, self.aggregation), (2, self.budgets), (1, self.mixture),
        ]  # fmt: skip
        told = None
        while told is None:
            told = self.rng.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]()
        self.done.append(told)
        return told

    def files(self, source: str) -> list[Path]:
        """The files of a source, the first one first."""
        return sorted((self.home / "landing" / source).glob("*.jsonl"))

    @property
    def sources(self) -> list[str]:
        """Sources that have files."""
        return [source for source in SOURCES if self.files(source)]

    def arrive(self) -> str | None:
        """A new source."""
        missing = [source for source in SOURCES if not self.files(source)]
        return self._first(missing[0]) if missing else None

    def later_file(self) -> str | None:
        """One more file of a source."""
        source = self.rng.choice(self.sources)
        if len(self.files(source)) > 3:
            return None
        return self._file(source, N_LATER)

    def append(self) -> str:
        """Rows at the end of a file."""
        path = self._some_file()
        texts.write(path, texts.read(path) + texts.conversations(self.rng, 2))
        return f"appended to {path.parent.name}/{path.name}"

    def replace(self) -> str:
        """Two rows of a file changed for others."""
        path = self._some_file()
        rows = texts.read(path)
        for at in self.rng.sample(range(len(rows)), 2):
            rows[at] = texts.conversations(self.rng, 1)[0]
        texts.write(path, rows)
        return f"changed {path.parent.name}/{path.name}"

    def withdraw(self) -> str | None:
        """A file taken out by the command."""
        path = self._later_file()
        if path is None:
            return None
        source, uri = path.parent.name, path.name
        done = deita(self.home, "withdraw", source, uri)
        # The automation may not have taken it in yet: then the command has nothing to withdraw, and says so.
        return f"withdrew {source}/{uri}: {'done' if done.code == 0 else done.err.strip()[:90]}"

    def remove(self) -> str | None:
        """A file that is simply gone."""
        path = self._later_file()
        if path is None:
            return None
        path.unlink()
        return f"removed {path.parent.name}/{path.name}"

    def threshold(self) -> str:
        """Another threshold, of a mixture or of one source."""
        table = self.rng.choice(["mixtures.all", "sources.aa"])
        return self._set(table, "threshold", self.rng.choice([0.5, 0.7, 0.8, 0.95]))

    def aggregation(self) -> str:
        """Another way to add up turns."""
        return self._set(
            f"sources.{self.rng.choice(self.sources)}", "aggregation", self.rng.choice(["sum", "mean", "max"])
        )

    def budgets(self) -> str:
        """Budgets of everything, or of one source."""
        table = self.rng.choice(["", "sources.aa", f"sources.{self.rng.choice(self.sources)}"])
        return self._set(table, "budgets", sorted(self.rng.sample(range(3, 12), 2)))

    def mixture(self) -> str | None:
        """A mixture of two sources that are there."""
        if len(self.sources) < 2 or "mixtures.blend" in self.settings:
            return None
        self.settings["mixtures.blend"] = {"sources": self.rng.sample(self.sources, 2)}
        return self._set("mixtures.blend", "budgets", [5])

    def _first(self, source: str) -> str:
        return self._file(source, N_FIRST)

    def _file(self, source: str, n_rows: int) -> str:
        self._n_files += 1
        path = self.home / "landing" / source / f"{self._n_files:03}.jsonl"
        texts.write(path, texts.conversations(self.rng, n_rows))
        return f"dropped {source}/{path.name}"

    def _some_file(self) -> Path:
        return self.rng.choice(self.files(self.rng.choice(self.sources)))

    def _later_file(self) -> Path | None:
        later = [path for source in self.sources for path in self.files(source)[1:]]
        return self.rng.choice(later) if later else None

    def _set(self, table: str, key: str, value: Any) -> str:
        self.settings.setdefault(table, {})[key] = value
        self._write_settings()
        return f"set {table or 'top'}.{key} = {value}"

    def _write_settings(self) -> None:
        lines: list[str] = []
        for table, keys in sorted(self.settings.items()):
            lines += [f"[{table}]"] if table else []
            lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items()]
        self.home.mkdir(parents=True, exist_ok=True)
        unfinished = self.home / "deita.toml.part"
        unfinished.write_text("\n".join(lines) + "\n", encoding="utf-8")
        unfinished.replace(self.home / "deita.toml")
