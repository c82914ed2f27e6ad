"""How a format says that a row is no conversation.

What belongs here: building `ParseError` with its cure. What does not: the reasons themselves (core.reasons).
"""

from __future__ import annotations

from typing import Any

from deita_assets.core.reasons import REASONS
from deita_assets.core.shown import clip, describe
from deita_assets.core.strict_json import is_encodable
from deita_assets.errors import ParseError


def failure(reason: str, path: str = "", found: str = "", expected: str = "") -> ParseError:
    """A `ParseError` with the cure of its reason; `found` is cut to 80 printable characters."""
    error = ParseError(reason, path, clip(found), expected)
    error.cure = REASONS[reason].cure
    return error


def within(where: str, error: ParseError) -> ParseError:
    """The same error, its path put below `where`."""
    return failure(error.reason, where + error.path, error.found, error.expected)


def checked_text(value: Any, path: str) -> str:
    """`value`, when it is text that UTF-8 can hold.

    Raises:
        ParseError: `bad_content` or `lone_surrogate`.
    """
    if not isinstance(value, str):
        raise failure("bad_content", path, describe(value), "text")
    if not value.isascii() and not is_encodable(value):
        raise failure("lone_surrogate", path, describe(value), "text that UTF-8 can hold")
    return value
