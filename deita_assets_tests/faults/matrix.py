"""The words of the fault matrix, and the record that a run of its tests leaves.

What belongs here: the groups, a fault, `Witness`. What does not: the faults, which stand in a table in the module of
their group; the page made of the record (`page`).
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

#: Group -> its title, in the order of the page.
GROUPS = {
    "bytes": "Bytes and encoding",
    "rows": "JSON and schema",
    "identity": "Identity and duplicates",
    "scorer": "Scorer",
    "vectors": "Embedder and vectors",
    "selection": "Selection",
    "crash": "Crashes",
    "writes": "Failing writes and damaged files",
    "concurrency": "Concurrency",
    "security": "Security",
    "exports": "Exports and lineage",
    "load": "Under load",
}
#: Outcome -> what it means. Nothing else may come of a fault.
OUTCOMES = {
    "error": "a message that names what was found and the cure; nothing was written",
    "quarantined": "the row is in quarantine with its reason, all others went on",
    "refused": "turned away before anything was read or written",
    "retried": "tried again within bounds, then an error",
    "safe": "nothing lost, nothing doubled, the next run completes",
    "marked": "the row stays, with a status or verdict that says why it is not selected",
    "told": "the work went on, and a check, count or message says so",
    "as usual": "no fault for this system",
    "impossible": "cannot be brought about; what was tried is shown",
}
Outcome = Literal[
    "error", "quarantined", "refused", "retried", "safe", "marked", "told", "as usual", "impossible"
]
#: Names a file that the tests append what they saw to, one JSON object in a line.
RECORD = "FAULTS_RECORD"


@dataclass(frozen=True)
class Fault:
    """One fault and what must come of it.

    Attributes:
        number: its number in the matrix, such as `12` or `69a`; several faults may share one.
        what: the fault, in the words of a user.
        how: how the test brings it about.
        outcome: one of `OUTCOMES`.
    """

    number: str
    what: str
    how: str
    outcome: Outcome

    def __str__(self) -> str:
        return f"{self.number} {self.what}".replace(" ", "-")


class Witness:
    """Takes down what a test saw of a fault, once for each time that it was brought about."""

    def __init__(self, group: str) -> None:
        assert group in GROUPS, f"{group}: not a group of the matrix"
        self.group = group

    def __call__(self, fault: Fault, seen: str, times: int = 1) -> None:
        """To be called after the assertions.

        Args:
            fault: what was brought about.
            seen: a reason code, an error's class and the gist of its message, or figures; no paths, no times.
            times: how often it was brought about.
        """
        assert fault.outcome in OUTCOMES, f"{fault.outcome}: not an outcome of the matrix"
        assert seen and times > 0
        if path := os.environ.get(RECORD):
            line = json.dumps({"group": self.group, **asdict(fault), "seen": seen, "times": times}) + "\n"
            with Path(path).open(
                "a", encoding="utf-8"
            ) as record:  # one write below 4 KiB: workers share the file
                record.write(line)
