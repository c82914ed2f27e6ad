"""Where the fields of a format stand in a file: our names, the names found in the wild, and the user's own.

What belongs here: naming and looking up fields of one row. What does not: what a field must hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from deita_assets.core.shown import clip
from deita_assets.errors import UsageError

FORMATS: Final = ("sharegpt", "messages", "alpaca", "completion")
#: One more where answers are not required: questions alone, the form of many evaluation sets.
QUESTIONS: Final = "questions"

#: Fields that every format takes: a sibling system text, an answer to append, and two labels.
_SHARED = ("system", "answer", "id", "language")
#: Fields that stand inside each message.
IN_MESSAGE: Final = ("role", "content")
#: Our field names by format; those not in messages stand at the top of the row.
FIELDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "sharegpt": ("conversations", "role", "content", "tools", *_SHARED),
        "messages": ("messages", "role", "content", "tools", *_SHARED),
        "alpaca": ("instruction", "input", "output", "history", *_SHARED),
        "completion": ("prompt", "completion", "role", "content", *_SHARED),
        QUESTIONS: ("question", *_SHARED),
    }
)
#: Names tried in this order where the user names none; a field absent here goes by its own name.
_USUAL_NAMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "output": ("output", "response"),
        "question": ("question", "turns", "problem", "text"),
        "answer": (),
        "role": ("role", "from"),
        "content": ("content", "value"),
        "id": (
            "id", "uuid", "uid", "_id", "sample_id", "row_id", "conversation_id", "dialogue_id", "message_id",
            "prompt_id", "question_id", "example_id", "idx", "index",
        ),
        "language": ("lang", "language"),
    }
)  # fmt: skip
_ALL_FIELDS: Final = tuple(dict.fromkeys(name for names in FIELDS.values() for name in names))

#: What `FieldMap.read` gives for a field that the row lacks; null is a value.
ABSENT: Final[Any] = type("Absent", (), {"__repr__": lambda self: "ABSENT", "__slots__": ()})()


@dataclass(frozen=True)
class FieldMap:
    """The user's names for our fields, such as `{"instruction": "question", "answer": "chosen"}`.

    A name with dots that is no key itself leads into nested objects (`data.turns`). A file's field that the
    user gave to one of our fields is no longer read as another under its usual name. `answer` has no usual
    name: its text or message, when mapped, is appended as the last assistant message, which is how files of
    preferences are read.

    Raises:
        UsageError: a field that no format has, or an empty name.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    _resolved: dict[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for ours, theirs in self.names.items():
            if ours not in _ALL_FIELDS:
                raise UsageError(
                    f"field map: no format has a field {clip(str(ours), 40)!r}.",
                    cure=f"Name one of {', '.join(_ALL_FIELDS)}, as in --map instruction=question.",
                )
            if not isinstance(theirs, str) or not theirs:
                raise UsageError(
                    f"field map: {ours} stands for no field.",
                    cure=f"Write --map {ours}=NAME with the file's name.",
                )
        resolved = {ours: self._names_of(ours) for ours in _ALL_FIELDS}
        object.__setattr__(self, "_resolved", resolved)

    @classmethod
    def of(cls, value: FieldMap | Mapping[str, str] | None) -> FieldMap:
        """A field map out of a mapping, or of nothing."""
        return value if isinstance(value, FieldMap) else cls(dict(value or {}))

    @classmethod
    def from_options(cls, options: Iterable[str]) -> FieldMap:
        """A field map out of `FIELD=NAME` texts.

        Raises:
            UsageError: a text without `=`, or the same field twice.
        """
        names: dict[str, str] = {}
        for option in options:
            ours, equals, theirs = option.partition("=")
            if not equals or ours in names:
                found = "has no '='" if not equals else f"names {ours} a second time"
                raise UsageError(
                    f"field map: {clip(option, 40)!r} {found}.",
                    cure="Write each field once, as in --map output=answer.",
                )
            names[ours] = theirs
        return cls(names)

    def check_format(self, format: str) -> None:  # noqa: A002 - the word users write
        """Refuse fields that `format` does not have; `auto` may use those of any.

        Raises:
            UsageError: the format is unknown, or lacks a mapped field.
        """
        if format == "auto":
            return
        if format not in FIELDS:
            raise UsageError(
                f"format {clip(str(format), 40)!r} is unknown.",
                cure=f"Use auto or one of {', '.join(FORMATS)}.",
            )
        foreign = [ours for ours in self.names if ours not in FIELDS[format]]
        if foreign:
            raise UsageError(
                f"field map: format {format} has no field {foreign[0]!r}.",
                cure=f"Its fields are {', '.join(FIELDS[format])}.",
            )

    def file_names(self, ours: str) -> tuple[str, ...]:
        """The names under which one of our fields is looked for, first match counts."""
        return self._resolved[ours]

    def read(self, row: Mapping[str, Any], ours: str) -> Any:
        """The value of one of our fields in `row`; null where no name of it holds more, else `ABSENT`."""
        found = ABSENT
        for name in self._resolved[ours]:
            value = row[name] if name in row else _nested(row, name)
            if value is not ABSENT and value is not None:
                return value
            found = value if found is ABSENT else found
        return found

    @property
    def settles_preference(self) -> bool:
        """True when the user said which of two answers to read."""
        tops = {name.partition(".")[0] for name in self.names.values()}
        return "answer" in self.names or not tops.isdisjoint({"chosen", "rejected"})

    def _names_of(self, ours: str) -> tuple[str, ...]:
        if ours in self.names:
            return (self.names[ours],)
        # Names are claimed within a message, or within the row, not across.
        inside = ours in IN_MESSAGE
        claimed = {theirs for other, theirs in self.names.items() if (other in IN_MESSAGE) is inside}
        return tuple(name for name in _USUAL_NAMES.get(ours, (ours,)) if name not in claimed)


def _nested(row: Mapping[str, Any], name: str) -> Any:
    if "." not in name:
        return ABSENT
    value: Any = row
    for key in name.split("."):
        if not isinstance(value, dict) or key not in value:
            return ABSENT
        value = value[key]
    return value
