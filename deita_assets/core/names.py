"""Names that the stores, the file system and Dagster can all hold: sources, mixtures, budgets.

What belongs here: the rule for each kind of name and its cure. What does not: which names exist.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from deita_assets.errors import InvalidNameError

#: A name becomes a folder, a Dagster partition key and part of a table row. `|`, `/`, `..` and line breaks
#: break one of these each, and capitals clash on file systems that ignore case.
NAME_PATTERN = r"[a-z0-9][a-z0-9_-]{0,63}"
#: Below one thousand million: no leading zero, so that one budget has one partition key.
BUDGET_PATTERN = r"[1-9][0-9]{0,8}"
#: Characters of an id or a version that say which one is meant, at least.
SHORTEST_PREFIX = 6
#: Mixture that every home has; a source of that name could not be told from it.
DEFAULT_MIXTURE = "all"

_NAME = re.compile(NAME_PATTERN)
_BUDGET = re.compile(BUDGET_PATTERN)


def validate_source_name(name: str) -> str:
    """`name`, when it can name a source.

    Raises:
        InvalidNameError: it does not match `^[a-z0-9][a-z0-9_-]{0,63}$`, or names the default mixture.
    """
    _check_name("source", name)
    if name == DEFAULT_MIXTURE:
        raise InvalidNameError(
            f"source name {name!r}: this is the mixture of all sources.", cure="Give the source another name."
        )
    return name


def is_source_name(name: str) -> bool:
    """Whether `name` can name a source."""
    try:
        validate_source_name(name)
    except InvalidNameError:
        return False
    return True


def validate_mixture_name(name: str, sources: Collection[str] = ()) -> str:
    """`name`, when it can name a mixture beside these `sources`.

    Raises:
        InvalidNameError: it does not match the pattern of source names, or a source bears it.
    """
    _check_name("mixture", name)
    if name in sources:
        raise InvalidNameError(
            f"mixture name {name!r}: a source bears this name.", cure="Give the mixture another name."
        )
    return name


def validate_budget(budget: int | str) -> int:
    """`budget` as a number of conversations, from 1 to 999,999,999.

    Raises:
        InvalidNameError: it is no whole number in that range, or not written plainly (`0100`, `1e3`).
    """
    text = budget if isinstance(budget, str) else str(budget)
    if not _BUDGET.fullmatch(text):
        raise InvalidNameError(
            f"budget {_shown(text)}: expected a whole number from 1 to 999999999.",
            cure="Give the number of conversations wanted, in digits only, such as 6000.",
        )
    return int(text)


def _check_name(kind: str, name: str) -> None:
    if isinstance(name, str) and _NAME.fullmatch(name):
        return
    raise InvalidNameError(
        f"{kind} name {_shown(name)}: expected 1 to 64 of a-z 0-9 _ -, the first a letter or digit.",
        cure=_suggestion(kind, name),
    )


def _suggestion(kind: str, name: object) -> str:
    near = re.sub(r"[^a-z0-9]+", "_", str(name).lower()[:64]).strip("_")
    return (
        f"Try {near!r}." if near and near != name else f"Give the {kind} a short plain name, such as 'lima'."
    )


def _shown(name: object) -> str:
    return ascii(name if len(str(name)) <= 64 else f"{str(name)[:61]}...")
