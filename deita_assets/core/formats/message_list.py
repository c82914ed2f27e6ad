"""Messages as they are written in the wild, turned to canonical ones.

What belongs here: roles, content and calls of messages. What does not: where in a row the messages stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from deita_assets.core.conversation import Message, Role
from deita_assets.core.formats.failures import checked_text, failure, within
from deita_assets.core.formats.field_map import ABSENT, FieldMap
from deita_assets.core.formats.tool_json import read_function_calls, read_tool_calls
from deita_assets.core.limits import ReadLimits
from deita_assets.core.shown import clip, describe
from deita_assets.errors import ParseError

_SYNONYMS: Final[Mapping[Role, tuple[str, ...]]] = MappingProxyType(
    {
        "user": ("user", "human"),
        "assistant": ("assistant", "gpt", "chatgpt", "bard", "bing", "model"),
        "system": ("system", "developer"),
        "tool": ("tool", "function", "observation", "function_response"),
    }
)
_ROLES: Final[Mapping[str, Role]] = {name: role for role, names in _SYNONYMS.items() for name in names}
#: A ShareGPT "role" whose value is the call itself.
_CALL = "function_call"
#: Keys of a message that are read; `role` and `content` may have other names.
MESSAGE_KEYS: Final = ("name", "tool_calls", "tool_call_id", "function_call")


class MessageReader:
    """Reads messages whose role and content stand under the names of a field map."""

    def __init__(self, field_map: FieldMap, limits: ReadLimits) -> None:
        self._limits = limits
        self._role_names = field_map.file_names("role")
        self._content_names = field_map.file_names("content")

    def read_list(self, value: Any, where: str) -> list[Message]:
        """All messages of a list; `where` is its path in the row.

        Raises:
            ParseError: `bad_messages`, `too_many_messages`, or what is wrong with the first bad message.
        """
        if not isinstance(value, list) or not value:
            raise failure("bad_messages", where, describe(value), "a list of at least one message")
        self.check_count(len(value), where)
        messages: list[Message] = []
        try:
            for raw in value:
                messages.append(self.read(raw))  # noqa: PERF401 - the count places the error
        except ParseError as error:
            raise within(f"{where}[{len(messages)}]", error) from None
        return messages

    def check_count(self, n_messages: int, where: str) -> None:
        """Refuse more messages than the limit.

        Raises:
            ParseError: `too_many_messages`.
        """
        limit = self._limits.max_messages
        if n_messages > limit:
            raise failure("too_many_messages", where, f"{n_messages} messages", f"at most {limit}")

    def read(self, raw: Any) -> Message:
        """One message; paths in its errors start at the message.

        Raises:
            ParseError: what is wrong with it.
        """
        if not isinstance(raw, dict):
            raise failure("bad_messages", "", describe(raw), "an object with a role and content")
        role_name = _present(raw, self._role_names)
        name = _present(raw, self._content_names)
        spoken, content = raw.get(role_name, ABSENT), raw.get(name, ABSENT)
        if spoken == _CALL:
            calls = read_function_calls(content, f".{name}", self._limits.max_depth)
            return Message("assistant", None, tool_calls=calls)
        role = _role(spoken, raw, f".{role_name}")
        if len(raw) == 2 and isinstance(content, str):  # nothing but a role and its text: nearly all messages
            return Message(role, checked_text(content, f".{name}"))
        return self._full(raw, role, content, f".{name}")

    def _full(self, raw: dict[str, Any], role: Role, content: Any, path: str) -> Message:
        calls = self._calls(raw)
        if calls and role != "assistant":
            raise failure(
                "bad_tool_call", ".tool_calls", f"calls of role {role}", "calls of the assistant only"
            )
        return Message(
            role,
            None if calls and (content is ABSENT or content is None) else content_text(content, path),
            name=_label(raw, "name"),
            tool_calls=calls,
            tool_call_id=_label(raw, "tool_call_id"),
        )

    def _calls(self, raw: dict[str, Any]) -> list[Any] | None:
        calls = read_tool_calls(raw.get("tool_calls"), ".tool_calls", self._limits.max_depth)
        legacy = raw.get(_CALL)
        if calls is None and legacy:
            return read_function_calls(legacy, f".{_CALL}", self._limits.max_depth)
        return calls


def _role(spoken: Any, raw: dict[str, Any], path: str) -> Role:
    role = None
    if isinstance(spoken, str):
        role = _ROLES.get(spoken) or _ROLES.get(spoken.lower())
    if role is None:
        found = repr(clip(spoken, 40)) if isinstance(spoken, str) else describe(spoken)
        found = describe(raw) if spoken is ABSENT else found
        raise failure("unknown_role", path, found, "user, assistant, system or tool")
    return role


def content_text(value: Any, path: str) -> str:
    """The text of a content: a string, or the texts of its text parts, joined without anything between.

    Raises:
        ParseError: `bad_content`, `multimodal_unsupported` or `lone_surrogate`.
    """
    if isinstance(value, list):
        return "".join(_part_text(part, f"{path}[{number}]") for number, part in enumerate(value))
    if value is ABSENT or value is None:
        found = "null" if value is None else "nothing"
        raise failure(
            "bad_content", path, found, "text; only an assistant message with tool_calls may have none"
        )
    return checked_text(value, path)


def _part_text(part: Any, path: str) -> str:
    if isinstance(part, str):
        return checked_text(part, path)
    if not isinstance(part, dict):
        raise failure("bad_content", path, describe(part), "a text part")
    kind = part.get("type")
    if kind != "text":
        if isinstance(kind, str):
            raise failure(
                "multimodal_unsupported", path, f"a part of type {clip(kind, 40)!r}", "parts of type 'text'"
            )
        raise failure("bad_content", path, describe(part), "a part with a type")
    text = part.get("text")
    return checked_text(part.get("value") if text is None else text, f"{path}.text")


def _present(raw: dict[str, Any], names: tuple[str, ...]) -> str:
    """The first of `names` that `raw` has, else the usual one."""
    for name in names:
        if name in raw:
            return name
    return names[0]


def _label(raw: dict[str, Any], key: str) -> str | None:
    value = raw.get(key)
    return None if value is None else checked_text(value, f".{key}")
