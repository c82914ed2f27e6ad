"""How foreign values are shown in messages: short, printable, and never a whole row.

What belongs here: text for error messages and quarantine details. What does not: deciding what is an error.
"""

from __future__ import annotations

import re
from typing import Any

#: Longest description of something found in a row.
SHOWN_CHARS = 80
#: What stands between the scheme and the host of an address: a user name, and often a password or token.
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@'\"]+@")


def printable(text: str) -> str:
    """`text` with what UTF-8 cannot hold, and what moves the cursor, written as escapes."""
    safe = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return safe if safe.isprintable() else "".join(_escaped(char) for char in safe)


def clip(text: str, chars: int = SHOWN_CHARS) -> str:
    """The first `chars` characters of `text`, printable, with an ellipsis where something was cut."""
    safe = printable(text[: chars + 1])
    return safe if len(safe) <= chars else safe[: chars - 3] + "..."


def without_credentials(text: str) -> str:
    """`text` with what stands before the host of an address left out, be it a password or not."""
    return _CREDENTIALS.sub("...@", text)


def describe(value: Any) -> str:
    """What kind of value stands there, in at most 80 characters: types, sizes and keys, no row text."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return f"text of {len(value)} characters" if value else "empty text"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, dict):
        if not value:
            return "an empty object"
        return clip("an object with keys " + ", ".join(str(key)[:SHOWN_CHARS] for key in list(value)[:20]))
    return clip(f"a value of type {type(value).__name__}")


def _escaped(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
