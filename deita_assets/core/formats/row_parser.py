"""One row of any known format to one canonical conversation.

What belongs here: the four formats, field by field. What does not: messages inside lists, and files.

    sharegpt    conversations: [{from, value} or {role, content}, ...], tools
    messages    messages: [{role, content[, name, tool_calls, tool_call_id]}, ...], tools
    alpaca      instruction, input, output (or response), history: [[question, answer], ...]
    completion  prompt, completion: both text, or lists of messages
    each        system: text put before the messages; answer: see `FieldMap`

Where answers are not required, every format may lack them, and a fifth holds nothing else:

    questions   question (or turns, problem, text): text, or a list of the questions of one conversation
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from deita_assets.core.conversation import Conversation, Message
from deita_assets.core.formats.detection import (
    first_lacking,
    is_message_tree,
    is_preference_pair,
    recognise,
    recognise_partial,
)
from deita_assets.core.formats.failures import checked_text, failure, within
from deita_assets.core.formats.field_map import ABSENT, FORMATS, QUESTIONS, FieldMap
from deita_assets.core.formats.message_list import MessageReader, content_text
from deita_assets.core.formats.tool_json import read_tools
from deita_assets.core.limits import ReadLimits
from deita_assets.core.shown import describe
from deita_assets.errors import ParseError

_DEFAULT_LIMITS = ReadLimits()
#: Siblings of a conversation that hold what its text cannot.
_MEDIA = ("images", "videos", "audios")


class RowParser:
    """Reads rows of one format, or of any known one with `auto`.

    Without `answers_required` a row may hold questions alone, as evaluation sets do; each is a turn whose
    response is "".

    Raises:
        UsageError: the format is unknown, or does not have a mapped field.
    """

    def __init__(
        self,
        format: str = "auto",  # noqa: A002 - the word users write
        field_map: FieldMap | Mapping[str, str] | None = None,
        limits: ReadLimits = _DEFAULT_LIMITS,
        *,
        answers_required: bool = True,
    ) -> None:
        self.format = format
        self.answers_required = answers_required
        self.field_map = FieldMap.of(field_map)
        self.field_map.check_format(format)
        self._limits = limits
        self._reader = MessageReader(self.field_map, limits)
        self._formats: dict[str, Callable[[dict[str, Any]], list[Message]]] = {
            "sharegpt": lambda row: self._chat(row, "conversations"),
            "messages": lambda row: self._chat(row, "messages"),
            "alpaca": self._alpaca,
            "completion": self._completion,
            QUESTIONS: self._questions,
        }

    def parse(self, obj: Any) -> Conversation:
        """The conversation of one row.

        Raises:
            ParseError: the row is none; `reason` says why, `path` where.
        """
        if not isinstance(obj, dict):
            raise failure("not_an_object", "", describe(obj), "one JSON object per conversation")
        name = self._format_of(obj)
        for media in _MEDIA:
            if isinstance(obj.get(media), list) and obj[media]:
                raise failure("multimodal_unsupported", media, describe(obj[media]), "text only")
        messages = self._formats[name](obj)
        if "answer" in self.field_map.names:
            messages.extend(self._answer(obj))
        messages = self._system(obj, messages)
        self._check(messages, name)
        tools = self._read(obj, "tools") if name in ("sharegpt", "messages") else None
        return Conversation(tuple(messages), read_tools(tools, "tools", self._limits.max_depth))

    def _format_of(self, row: dict[str, Any]) -> str:
        """The format to read `row` by.

        Raises:
            ParseError: `preference_pair`, `message_tree`, `unknown_format`, `format_mismatch` or
                `missing_field`.
        """
        if is_preference_pair(row, self.field_map):
            raise failure("preference_pair", "", describe(row), "one answer")
        needed = self.answers_required
        lacking = (
            "" if self.format == "auto"
            else first_lacking(row, self.format, self.field_map, answers_required=needed)
        )  # fmt: skip
        if lacking is None:
            return self.format
        found = recognise(row, self.field_map, answers_required=needed)
        if is_message_tree(row) and found is None:
            raise failure("message_tree", "", describe(row), "one conversation per row")
        if self.format == "auto":
            found = found or recognise_partial(row, self.field_map)
            if found is None:
                raise failure("unknown_format", "", describe(row), f"the fields of {', '.join(FORMATS)}")
            return found
        if found is not None and found != self.format:
            raise failure("format_mismatch", "", f"a row of format {found}", f"format {self.format}")
        raise failure(
            "missing_field", self._name(lacking), describe(row), f"the field of format {self.format}"
        )

    def _chat(self, row: dict[str, Any], field: str) -> list[Message]:
        return self._reader.read_list(self._read(row, field), self._name(field))

    def _alpaca(self, row: dict[str, Any]) -> list[Message]:
        messages = self._history(row)
        instruction = self._text(row, "instruction")
        extra = self._text(row, "input", optional=True)
        messages.append(Message("user", f"{instruction}\n{extra}" if extra else instruction))
        optional = self._may_lack_answer
        output = self._text(row, "output", optional=optional)
        return [*messages, Message("assistant", output)] if output or not optional else messages

    def _history(self, row: dict[str, Any]) -> list[Message]:
        history = self._read(row, "history")
        if history is None or history in ("", []):
            return []
        where = self._name("history")
        if not isinstance(history, list):
            raise failure("bad_messages", where, describe(history), "a list of [question, answer] pairs")
        self._reader.check_count(2 * len(history) + 2, where)
        messages: list[Message] = []
        for number, pair in enumerate(history):
            path = f"{where}[{number}]"
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise failure("bad_messages", path, describe(pair), "a [question, answer] pair")
            messages.append(Message("user", checked_text(pair[0], f"{path}[0]")))
            messages.append(Message("assistant", checked_text(pair[1], f"{path}[1]")))
        return messages

    def _completion(self, row: dict[str, Any]) -> list[Message]:
        prompt = self._side(row, "prompt", "user")
        if self._may_lack_answer and self._read(row, "completion") is None:
            return prompt
        return prompt + self._side(row, "completion", "assistant")

    def _questions(self, row: dict[str, Any]) -> list[Message]:
        """User messages with an empty answer between them, so that each question is a turn of its own."""
        value, where = self._read(row, "question"), self._name("question")
        if not isinstance(value, list):
            return [Message("user", self._text(row, "question"))]
        if not value:
            raise failure("bad_messages", where, describe(value), "at least one question")
        self._reader.check_count(2 * len(value), where)
        messages: list[Message] = []
        for number, question in enumerate(value):
            text = question.get("content") if isinstance(question, dict) else question
            messages += [Message("user", content_text(text, f"{where}[{number}]")), Message("assistant", "")]
        return messages[:-1]

    def _side(self, row: dict[str, Any], field: str, role: Any) -> list[Message]:
        """One half of a completion row: text of one role, or a list of messages."""
        value = self._read(row, field)
        if isinstance(value, list):
            return self._reader.read_list(value, self._name(field))
        return [Message(role, self._text(row, field))]

    def _answer(self, row: dict[str, Any]) -> list[Message]:
        """The mapped answer: text, one message, or a list of messages without any user among them."""
        value, where = self._read(row, "answer"), self._name("answer")
        if value is None and not self.answers_required:
            return []
        if value is None:
            raise failure("missing_field", where, "null or nothing", "the answer to append")
        if isinstance(value, str):
            return [Message("assistant", checked_text(value, where))]
        if isinstance(value, dict):
            try:
                messages = [self._reader.read(value)]
            except ParseError as error:
                raise within(where, error) from None
        else:
            messages = self._reader.read_list(value, where)
        foreign = [message.role for message in messages if message.role not in ("assistant", "tool")]
        if foreign:
            expected = "messages of the assistant; a whole conversation is read with --map messages=NAME"
            raise failure("bad_messages", where, f"a {foreign[0]} message", expected)
        return messages

    def _system(self, row: dict[str, Any], messages: list[Message]) -> list[Message]:
        """Put the sibling system text first, unless the conversation starts with the same one."""
        value = self._read(row, "system")
        if value is None or value == "":
            return messages
        system = Message("system", checked_text(value, self._name("system")))
        return messages if messages[:1] == [system] else [system, *messages]

    def _check(self, messages: list[Message], name: str) -> None:
        self._reader.check_count(len(messages), "")
        roles = [message.role for message in messages]
        if "user" not in roles:
            found = f"{len(roles)} messages of {', '.join(sorted(set(roles)))}"
            raise failure("no_user_message", "", found, "a user message")
        if not self.answers_required:
            return
        for message in messages[roles.index("user") :]:
            if message.role == "assistant" and message.content and not message.content.isspace():
                return
        path = self._name("output") if name == "alpaca" else ""
        raise failure("empty_response", path, f"{len(roles)} messages", "assistant text after a user message")

    @property
    def _may_lack_answer(self) -> bool:
        return "answer" in self.field_map.names or not self.answers_required

    def _read(self, row: dict[str, Any], field: str) -> Any:
        value = self.field_map.read(row, field)
        return None if value is ABSENT else value

    def _text(self, row: dict[str, Any], field: str, *, optional: bool = False) -> str:
        """A text field; absent and null are the same, because a table writes the one as the other."""
        value = self._read(row, field)
        if value is not None:
            return checked_text(value, self._name(field))
        if optional:
            return ""
        raise failure("missing_field", self._name(field), "null or nothing", "text")

    def _name(self, field: str) -> str:
        names = self.field_map.file_names(field)
        return names[0] if names else field


def parse_conversation(obj: Any, format: str = "auto") -> Conversation:  # noqa: A002 - the word users write
    """The conversation of one row, given as the Python value of its JSON.

    Args:
        obj: the row.
        format: `auto`, or one of `FORMATS`.

    Raises:
        ParseError: the row is no conversation.
        UsageError: the format is unknown.
    """
    return _parser(format).parse(obj)


@lru_cache(maxsize=len(FORMATS) + 1)
def _parser(format: str) -> RowParser:  # noqa: A002
    return RowParser(format)
