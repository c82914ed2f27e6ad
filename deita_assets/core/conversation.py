"""The canonical conversation: one form for every format, its hash, and how turns are paired.

What belongs here: what a conversation is and how it gets its identity. What does not: formats of files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Literal, TypeAlias

from deita_assets.core.fingerprint import canonical_json, sha256_hex

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant", "tool")

#: Hex characters of the content hash in a sample id: 128 bits.
SAMPLE_ID_DIGEST = 32


@dataclass(frozen=True, slots=True)
class Message:
    """One message; its text stands as it came, untrimmed.

    Attributes:
        role: who speaks.
        content: the text; None only where an assistant gives nothing but tool calls.
        name: the speaker's or the tool's name.
        tool_calls: JSON list of `{"type": "function", "function": {"name", "arguments"}}`, or as it came. It
            counts for equality, but not for `hash`, because lists have none.
        tool_call_id: which call a tool message answers.
    """

    role: Role
    content: str | None
    name: str | None = None
    tool_calls: list[Any] | None = field(default=None, hash=False)
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One (instruction, response) pair, numbered from 0; the response is "" where no text follows."""

    index: int
    instruction: str
    response: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages in order, and the tools that the assistant was offered (JSON) or None."""

    messages: tuple[Message, ...]
    tools: Any = field(default=None, hash=False)

    def canonical_json(self) -> str:
        """The one text of this conversation: sorted keys, no spaces, no absent fields, text unchanged."""
        value: dict[str, Any] = {"messages": [_message_fields(message) for message in self.messages]}
        if self.tools is not None:
            value["tools"] = self.tools
        return canonical_json(value)

    def content_sha256(self) -> str:
        """sha256 of the canonical JSON in UTF-8, 64 hex characters: the identity of the content."""
        return sha256_hex(self.canonical_json())

    @classmethod
    def from_canonical(cls, text: str) -> Conversation:
        """The conversation that `canonical_json` wrote.

        Raises:
            ValueError: the text is not a canonical conversation.
        """
        value = json.loads(text)
        try:
            messages = tuple(Message(**fields) for fields in value["messages"])
            tools = value.get("tools")
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"not a canonical conversation: {error}") from None
        unknown = {message.role for message in messages} - set(ROLES)
        if unknown:
            raise ValueError(
                f"not a canonical conversation: role {min(unknown)!r} is none of {', '.join(ROLES)}"
            )
        return cls(messages, tools)

    @property
    def text_chars(self) -> int:
        """Characters (code points) of all message texts together."""
        return sum(len(message.content) for message in self.messages if message.content)

    def turns(self) -> tuple[Turn, ...]:
        """The (user, assistant) pairs that scorers read.

        User messages with no assistant message between them join with a blank line. A pair's response is its
        LAST assistant text; messages that are blank or carry only tool calls are no text, so that a pair
        without any has the response "". System and tool messages, and what the assistant says before the
        first user, are skipped.
        """
        turns: list[Turn] = []
        asked: list[str] = []
        response, answered = "", False
        for message in self.messages:
            if message.role == "user":
                if answered:
                    turns.append(Turn(len(turns), "\n\n".join(asked), response))
                    asked, response, answered = [], "", False
                asked.append(message.content or "")
            elif message.role == "assistant" and asked:
                answered = True
                if message.content and not message.content.isspace():
                    response = message.content
        if asked:
            turns.append(Turn(len(turns), "\n\n".join(asked), response))
        return tuple(turns)


def official_turns(messages: Sequence[Message]) -> tuple[Turn, ...]:
    """The pairs that the published code of DEITA makes; only for comparison with its scores.

    Places decide and roles are ignored: messages 0 and 1 are a pair, 2 and 3 the next. A last message without a
    partner is an instruction with the response "", and a leading system message shifts every pair.
    """
    texts = [message.content or "" for message in messages]
    pairs = zip_longest(texts[0::2], texts[1::2], fillvalue="")
    return tuple(Turn(index, instruction, response) for index, (instruction, response) in enumerate(pairs))


def sample_id(source: str, content_sha256: str) -> str:
    """Identity of a conversation within a source: `<source>:` and the first 32 hex characters of its hash."""
    return f"{source}:{content_sha256[:SAMPLE_ID_DIGEST]}"


def _message_fields(message: Message) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.name is not None:
        fields["name"] = message.name
    if message.tool_calls is not None:
        fields["tool_calls"] = message.tool_calls
    if message.tool_call_id is not None:
        fields["tool_call_id"] = message.tool_call_id
    return fields
