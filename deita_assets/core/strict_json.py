"""JSON as the stores can hold it: no NaN, no doubled keys, no endless nesting, no half characters.

Python's parser takes all of these silently, and each of them breaks something later: NaN sorts first, readers
disagree on which of two equal keys counts, Arrow refuses lone surrogates.

What belongs here: text to value, or a reason. What does not: bytes, lines and files (readers).
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from deita_assets.core.shown import clip

#: Digits of the largest float, 1.8e308: an integer with more is refused by every reader that is not Python.
MAX_INTEGER_DIGITS = 309

# A string (to its end, or to the end of a text that is cut) or one bracket. Possessive: linear on any input.
_STRUCTURE = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_OPEN, _CLOSE = "[{", "]}"


class StrictJsonError(ValueError):
    """The text is no JSON, or JSON that a store cannot hold; `reason` is a code of `core.reasons`."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def loads(text: str, max_depth: int) -> Any:
    """The value of one JSON text.

    Raises:
        StrictJsonError: `malformed_json`, `too_deep`, `non_finite_number`, `number_out_of_range`,
            `duplicate_key` or `lone_surrogate`.
    """
    if depth_exceeds(text, max_depth):
        raise StrictJsonError("too_deep", f"more than {max_depth} brackets are open at once")
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise StrictJsonError("malformed_json", _place(error)) from None
    except RecursionError:
        raise StrictJsonError("too_deep", "nested beyond what is left of the call stack") from None
    if ("\\ud" in text or "\\uD" in text) and has_lone_surrogate(value):
        raise StrictJsonError("lone_surrogate", "half of a surrogate pair is escaped in the text")
    return value


def depth_exceeds(text: str, max_depth: int) -> bool:
    """True when more than `max_depth` brackets outside strings are open at once."""
    if text.count("[") + text.count("{") <= max_depth:
        return False
    depth = 0
    for match in _STRUCTURE.finditer(text):
        token = text[match.start()]
        if token in _OPEN:
            depth += 1
            if depth > max_depth:
                return True
        elif token in _CLOSE:
            depth -= 1
    return False


def has_lone_surrogate(value: Any) -> bool:
    """True when any text or key inside a JSON value cannot be written as UTF-8."""
    pending = [value]
    while pending:
        current = pending.pop()
        if isinstance(current, str):
            if not is_encodable(current):
                return True
        elif isinstance(current, dict):
            pending.extend(current)
            pending.extend(current.values())
        elif isinstance(current, list):
            pending.extend(current)
    return False


def is_encodable(text: str) -> bool:
    """True when `text` can be written as UTF-8."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise StrictJsonError("duplicate_key", f"key {clip(_twice(pairs), 40)!r} stands twice in one object")
    return value


def _place(error: json.JSONDecodeError) -> str:
    where = (
        f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno} of it, column {error.colno}"
    )
    return f"{error.msg.removesuffix(' at')} at {where}"


def _twice(pairs: list[tuple[str, Any]]) -> str:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return key
        seen.add(key)
    return ""


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise StrictJsonError("non_finite_number", f"{clip(text, 20)} is beyond the range of floats")
    return number


def _integer(text: str) -> int:
    if len(text) > MAX_INTEGER_DIGITS:
        raise StrictJsonError("number_out_of_range", f"an integer of {len(text)} digits")
    return int(text)


def _constant(name: str) -> NoReturn:
    raise StrictJsonError("non_finite_number", f"{name} is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_float, parse_int=_integer, parse_constant=_constant
)
