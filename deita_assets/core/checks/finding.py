"""What a check found: passed or not, how grave, in words, with numbers to plot and a few ids to look at.

What belongs here: the shape of a finding. What does not: any rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

#: Ids that a finding names at most; never a row's text.
MOST_EXAMPLES = 10


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        check: its name.
        passed: False where somebody has to look.
        message: what was found and, if it did not pass, what that means.
        cure: what to do, with the command; empty where it passed.
        grave: a failure is an error that stops what comes after, not a warning.
        numbers: plain numbers by lower_snake_case name, the same names at each evaluation.
        examples: ids of rows or keys concerned, `MOST_EXAMPLES` at most.
    """

    check: str
    passed: bool
    message: str
    cure: str = ""
    grave: bool = False
    numbers: Mapping[str, int | float] = field(default_factory=dict)
    examples: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """Message and cure together."""
        return f"{self.message} {self.cure}".strip()


def few(ids: Iterable[str]) -> tuple[str, ...]:
    """The first `MOST_EXAMPLES` ids in order, each once."""
    return tuple(sorted(set(ids))[:MOST_EXAMPLES])


def rows(count: int, what: str = "row") -> str:
    """`1 row`, `2,000 rows`."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def curate(scope_kind: str, scope: str) -> str:
    """The command that brings a scope up to date."""
    return f"`deita-assets curate --{scope_kind} {scope}`"
