"""Run config of the launchpad: what Dagster's schema cannot say about a value, said in its field's words.

Dagster checks names, types and choices as one types. Bounds given to pydantic would be met in a run only, as a
traceback of pydantic's; so they stand in the descriptions, and `in_words` refuses what is out of them.

What belongs here: refusing a value. What does not: any one config.
"""

from __future__ import annotations

from collections.abc import Callable

from deita_assets.core.shown import clip
from deita_assets.errors import UsageError


def require(holds: bool, field: str, value: object, expected: str, cure: str = "") -> None:
    """Refuse a value of run config that does not hold.

    Raises:
        UsageError: naming the field, what was found and what was expected.
    """
    if not holds:
        raise UsageError(
            f"run config, {field}: found {clip(repr(value))}, expected {expected}.",
            cure=cure or f"Correct {field} in the launchpad.",
        )


def require_valid(field: str, value: str, validate: Callable[[str], object]) -> None:
    """Refuse what `validate` refuses, in its words."""
    try:
        validate(value)
    except UsageError as error:
        raise UsageError(f"run config, {field}: {error.message}", cure=error.cure) from error
