"""Which format a row, or a file's first rows, are of.

What belongs here: telling formats apart by their fields. What does not: reading the fields.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from deita_assets.core.formats.field_map import ABSENT, FORMATS, QUESTIONS, FieldMap

#: Fields that must hold something for a row to be of a format; the second may be the mapped answer instead.
_NEEDED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "sharegpt": ("conversations",),
        "messages": ("messages",),
        "alpaca": ("instruction", "output"),
        "completion": ("prompt", "completion"),
        QUESTIONS: ("question",),
    }
)


def detect_format(
    objs: Sequence[Any],
    field_map: FieldMap | Mapping[str, str] | None = None,
    *,
    answers_required: bool = True,
) -> str | None:
    """The format of most of the rows that are of a known one, ties to the first seen; None when no row is.

    Rows that lack a field of their format are asked only where no row is whole.
    """
    fields = FieldMap.of(field_map)
    return _commonest(
        recognise(obj, fields, answers_required=answers_required) for obj in objs
    ) or _commonest(recognise_partial(obj, fields) for obj in objs)


def recognise(row: Any, fields: FieldMap, *, answers_required: bool = True) -> str | None:
    """The first format all of whose needed fields hold something in `row`.

    Where answers are not required, the first whose leading field does, and then `questions`.
    """
    if not isinstance(row, dict):
        return None
    for name in FORMATS:
        if all(_holds(row, field, fields) for field in _NEEDED[name]):
            return name
    if answers_required or is_message_tree(row):
        return None
    for name in (*FORMATS, QUESTIONS):
        if _holds(row, _NEEDED[name][0], fields):
            return name
    return None


def recognise_partial(row: Any, fields: FieldMap) -> str | None:
    """The first format whose leading field stands in `row`, be it null."""
    if not isinstance(row, dict) or is_message_tree(row):
        return None
    for name in FORMATS:
        if fields.read(row, _NEEDED[name][0]) is not ABSENT:
            return name
    return None


def first_lacking(
    row: dict[str, Any],
    format: str,  # noqa: A002
    fields: FieldMap,
    *,
    answers_required: bool = True,
) -> str | None:
    """The first needed field of `format` that `row` does not have at all; null counts as having."""
    for field in _NEEDED[format] if answers_required else _NEEDED[format][:1]:
        if fields.read(row, field) is ABSENT and not _answered(field, format, fields):
            return field
    return None


def is_message_tree(row: dict[str, Any]) -> bool:
    """True for an OASST tree, and for one message out of such a tree."""
    return ("message_tree_id" in row and ("prompt" in row or "parent_id" in row)) or (
        isinstance(row.get("prompt"), dict) and "replies" in row["prompt"]
    )


def is_preference_pair(row: dict[str, Any], fields: FieldMap) -> bool:
    """True for two answers to one prompt, unless the user said which one to read."""
    return "chosen" in row and "rejected" in row and not fields.settles_preference


def _holds(row: dict[str, Any], field: str, fields: FieldMap) -> bool:
    value = fields.read(row, field)
    if value is ABSENT or value is None:
        return field in ("output", "completion") and "answer" in fields.names
    return field != "prompt" or not isinstance(value, dict)  # the root of a message tree is no prompt


def _answered(field: str, format: str, fields: FieldMap) -> bool:  # noqa: A002
    return field != _NEEDED[format][0] and "answer" in fields.names


def _commonest(formats: Iterable[str | None]) -> str | None:
    counts = Counter(name for name in formats if name)
    return counts.most_common(1)[0][0] if counts else None
