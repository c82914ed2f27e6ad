"""What a row says beside the conversation: its own id, its language, and fields that are ignored.

What belongs here: labels; none of them is part of a conversation's identity. What does not: reading
conversations.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from deita_assets.core.formats.field_map import ABSENT, FIELDS, IN_MESSAGE, FieldMap
from deita_assets.core.formats.message_list import MESSAGE_KEYS
from deita_assets.core.limits import ReadLimits
from deita_assets.core.shown import printable
from deita_assets.core.strict_json import is_encodable

_MAX_OWN_ID = ReadLimits().max_own_id_chars
#: Longest language tag of BCP 47 in practice; longer text is no label.
_MAX_LANGUAGE = 35
_NO_MAP = FieldMap()


def own_id(obj: Any, field_map: FieldMap | Mapping[str, str] | None = None) -> str | None:
    """The row's own id as text, at most 256 characters; None where it has none, or no text or integer."""
    value = _label(obj, "id", field_map)
    if isinstance(value, int) and not isinstance(value, bool):
        # Beyond 64 bits an integer is no id, and Python refuses to write very long ones.
        value = str(value) if -(2**64) < value < 2**64 else None
    if not isinstance(value, str) or not value:
        return None
    return (value if is_encodable(value) else printable(value))[:_MAX_OWN_ID]


def row_language(obj: Any, field_map: FieldMap | Mapping[str, str] | None = None) -> str | None:
    """The row's language label as it stands in `lang` or `language`; None where it has none."""
    value = _label(obj, "language", field_map)
    if not isinstance(value, str) or not value or len(value) > _MAX_LANGUAGE or not is_encodable(value):
        return None
    return value


def extra_fields(
    obj: Any,
    format: str,  # noqa: A002 - the word users write
    field_map: FieldMap | Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """Names of fields that reading ignores, sorted; those inside messages as `messages[].weight`.

    `format` is the format of the row; with `auto`, or for a value that is no object, nothing is known to be
    ignored.
    """
    if not isinstance(obj, dict) or format not in FIELDS:
        return ()
    known = _known_fields(format, tuple(FieldMap.of(field_map).names.items()))
    extra = {str(key) for key in obj.keys() - known.top}
    for name in known.lists:
        messages = obj.get(name)
        if isinstance(messages, list):
            found = set().union(*(message.keys() for message in messages if isinstance(message, dict)))
            extra.update(f"{name}[].{key}" for key in found - known.message)
    return tuple(sorted(map(printable, extra))) if extra else ()


class _KnownFields:
    """Keys that are read, at the top of a row and inside the messages of its lists."""

    def __init__(self, format: str, fields: FieldMap) -> None:  # noqa: A002
        names = [field for field in FIELDS[format] if field not in IN_MESSAGE]
        found = {name for field in names for name in fields.file_names(field)}
        self.top = found | {name.partition(".")[0] for name in found}
        self.message = {*fields.file_names("role"), *fields.file_names("content"), *MESSAGE_KEYS}
        lists = [field for field in ("conversations", "messages", "prompt", "completion") if field in names]
        self.lists = [name for field in lists for name in fields.file_names(field)]


@lru_cache(maxsize=64)
def _known_fields(format: str, names: tuple[tuple[str, str], ...]) -> _KnownFields:  # noqa: A002
    return _KnownFields(format, FieldMap(dict(names)))


def _label(obj: Any, field: str, field_map: FieldMap | Mapping[str, str] | None) -> Any:
    if not isinstance(obj, dict):
        return None
    value = (FieldMap.of(field_map) if field_map else _NO_MAP).read(obj, field)
    return None if value is ABSENT else value
