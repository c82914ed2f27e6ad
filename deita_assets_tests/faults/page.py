"""`docs/reliability.md` out of the record of a test run.

    FAULTS_RECORD=/tmp/faults.jsonl pytest deita_assets_tests/faults
    python -m deita_assets_tests.faults.page /tmp/faults.jsonl            # writes the page
    python -m deita_assets_tests.faults.page /tmp/faults.jsonl --check    # fails if the page says something else

Between the two marks of the page stands what is generated; what is around them is written by hand. `--check` compares
the faults, how they were injected and their outcomes; figures of what was seen may differ from machine to machine.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from deita_assets_tests.faults.matrix import GROUPS, OUTCOMES

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
_CELL_END = re.compile(r"(?<!\\)\|")  # an escaped bar is text
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"


def rows(record: Iterable[str]) -> list[dict[str, Any]]:
    """Faults in the order of the matrix; `seen` lists what was seen of each, `times` is how often it was."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for line in record:
        one = json.loads(line)
        key = (one["group"], one["number"], one["what"], one["how"], one["outcome"])
        row = found.setdefault(key, {**one, "seen": set(), "times": 0})
        row["seen"].add(one["seen"])
        row["times"] += one["times"]
    return sorted(found.values(), key=_place)


def _place(row: dict[str, Any]) -> tuple[int, int, str, str]:
    digits = re.match(r"\d+", row["number"])
    return list(GROUPS).index(row["group"]), int(digits[0]) if digits else 0, row["number"], row["what"]


def tables(found: list[dict[str, Any]]) -> str:
    """The generated part, as Markdown."""
    parts = ["| outcome | what it means | faults |", "|---|---|---:|"]
    for outcome, meaning in OUTCOMES.items():
        if n := sum(row["outcome"] == outcome for row in found):
            parts.append(f"| {outcome} | {meaning} | {n} |")
    for group, title in GROUPS.items():
        if of_group := [row for row in found if row["group"] == group]:
            parts += ["", f"### {title}", "", "| no. | fault | injected how | outcome | seen | times |"]
            parts += ["|---|---|---|---|---|---:|"]
            parts += ["| " + " | ".join(_cells(row)) + " |" for row in of_group]
    return "\n".join(parts)


def _cells(row: dict[str, Any]) -> list[str]:
    seen = "; ".join(sorted(row["seen"]))
    return [
        *(_cell(row[name]) for name in ("number", "what", "how", "outcome")),
        _cell(seen),
        f"{row['times']:,}",
    ]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _faults(generated: str) -> set[str]:
    """Rows without what was seen and how often, each below the title of its group."""
    found, title = set(), ""
    for line in generated.splitlines():
        title = line if line.startswith("### ") else title
        if title and line.startswith("|"):
            cells = _CELL_END.split(line)[1:5]
            found.add(f"{title}:{'|'.join(cells)}")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("record", type=Path)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args(arguments)
    made = tables(rows(given.record.read_text(encoding="utf-8").splitlines()))
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    standing, _, after = rest.partition(END)
    if not given.check:
        PAGE.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}", encoding="utf-8")
        return 0
    stale = sorted(_faults(standing) ^ _faults(made))
    for line in stale:
        sys.stderr.write(f"{line}\n")
    if stale:
        sys.stderr.write(f"{PAGE.name} and the record differ in these rows; make it again and look at it.\n")
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
