"""JSON lines, one JSON list, or objects one after another: told by the first bytes.

What belongs here: this one decision. What does not: splitting the file accordingly.
"""

from __future__ import annotations

import json
import re
from typing import Any, Literal, TypeAlias

JsonContainer: TypeAlias = Literal["jsonl", "json_array", "json_objects"]

_DECODER = json.JSONDecoder()
#: Brackets, and strings so that brackets inside them do not count; a string not closed on its line is cut
#: there.
_STRUCTURE = re.compile(r'"(?:[^"\\\n]++|\\.)*+"?|[\[\]{}]')


def json_container(window: bytes) -> JsonContainer:
    """How the rows are packed in a text that begins with `window`, which may be cut inside a row."""
    text = window.decode("utf-8", "replace").lstrip()
    if text.startswith("["):
        return "jsonl" if _lists_on_lines(text) else "json_array"
    if text.startswith("{"):
        return _objects(text)
    return "jsonl"


def _lists_on_lines(text: str) -> bool:
    """True when the first line is a whole list and more lines follow: rows of a wrong type, but rows."""
    first, _, rest = text.partition("\n")
    return bool(rest.strip()) and _parses(first)


def _objects(text: str) -> JsonContainer:
    first, line_end, rest = text.partition("\n")
    if _parses(first):
        return "jsonl"
    end = _first_value_end(text)
    if end is not None:
        # A whole object: over several lines, or with another one right behind it on its line.
        return "json_objects" if end > len(first) or first[end:].lstrip().startswith("{") else "jsonl"
    if not line_end or not _is_open(first):
        return "jsonl"
    # The first object is broken, or longer than the window. Of JSON lines most others are whole.
    lines = [line for line in rest.split("\n")[:-1] if line.strip()]
    whole = sum(line.startswith("{") and _parses(line) for line in lines)
    return "jsonl" if lines and 2 * whole >= len(lines) else "json_objects"


def _first_value_end(text: str) -> int | None:
    try:
        _, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    return end


def _parses(line: str) -> bool:
    try:
        _ignored: Any = _DECODER.decode(line)
    except (ValueError, RecursionError):
        return False
    return True


def _is_open(line: str) -> bool:
    """True when brackets are open at the end of the line, and no string is."""
    depth, last = 0, ""
    for match in _STRUCTURE.finditer(line):
        last = match[0]
        depth += (last in "{[") - (last in "}]")
    return depth > 0 and (last in "{[}]" or _parses(last))
