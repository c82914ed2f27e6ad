"""What the rows of an export are like, found out before the first one is written.

Loaders of JSON lines take their columns from the first megabytes of a file and fail on a key that comes later, and a
schema is best without keys that no row uses. So every export reads its rows twice.

What belongs here: counting. What does not: writing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from deita_assets.exports.forms import ROWS, Held
from deita_assets.exports.published import PublishedRow


@dataclass
class Survey:
    """What a form makes of the rows of a subset.

    Attributes:
        shape: key of `forms.ROWS`.
        n_held: rows that the form holds.
        skipped: reason -> rows that it cannot hold.
        left_out: what it leaves out of rows that it holds -> how many of them.
        keys: keys of rows, such as `tools`, `system`, `history`.
        message_keys: keys of messages; empty for Alpaca.
        has_calls: some row calls a tool.
    """

    shape: str
    n_held: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    keys: set[str] = field(default_factory=set)
    message_keys: set[str] = field(default_factory=set)
    has_calls: bool = False

    @property
    def plain(self) -> bool:
        """True when every message is a role and a text, and nothing else."""
        return self.message_keys <= {"role", "content"}


def survey(rows: Iterable[PublishedRow], shape: str) -> Survey:
    """Read all rows once; holds none of them."""
    found = Survey(shape)
    make = ROWS[shape]
    for row in rows:
        made = make(row.conversation)
        if not isinstance(made, Held):
            found.skipped[made.reason] += 1
            continue
        found.n_held += 1
        found.left_out.update(made.left_out)
        found.keys.update(made.row)
        messages = made.row.get("messages") or made.row.get("conversations") or ()
        for message in messages:
            found.message_keys.update(message)
            if message.get("from") == "function_call" or "tool_calls" in message:
                found.has_calls = True
    return found
