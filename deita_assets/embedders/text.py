"""The text of a conversation that an embedder reads.

What belongs here: text policies, each under a name that goes into the embedder's fingerprint. What does not:
tokens and models.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from deita_assets.core.conversation import Conversation, Message
from deita_assets.core.fingerprint import canonical_json

#: Name of the policy of `conversation_text`; a changed rule gets a new name.
TEXT_POLICY = "messages-v1"
#: Name of the policy of `text_without_headers`.
HEADLESS_POLICY = "messages-without-headers-v1"

#: The head of a Toolformer row (GPTeacher): two lines, then for each named tool one of description and its signature.
_TOOLFORMER = re.compile(r"toolformer: [^\n]*\ntoolformer access: ([^\n]+)\n")
_TOOL = r"[^\n]*\n{name}\([^\n]*\)[^\S\n]*(?:\n|\Z)"


def conversation_text(conversation: Conversation) -> str:
    """Policy `messages-v1`: what was said, in order, joined by blank lines.

    Contents of all messages (system, user, assistant, tool) and, for tool calls, `name arguments`. No role
    words: they are equal in every conversation and would only pull vectors together. Absent and empty
    contents leave no blank line behind. Offered tools are left out: a long header shared by a whole source
    would hide what differs.
    """
    return "\n\n".join(piece for message in conversation.messages for piece in _pieces(message))


def text_without_headers(conversation: Conversation) -> str:
    """Policy `messages-without-headers-v1`: as `messages-v1`, but what a whole source may share is left out.

    Left out are system messages, and the lines in which a Toolformer row lists its tools at the start of a user
    message. The rule reads nothing but the conversation, so a vector still depends on its own row alone. Where
    nothing would remain, nothing is left out.
    """
    kept = "\n\n".join(
        piece
        for message in conversation.messages
        if message.role != "system"
        for piece in _pieces(message, message.role == "user")
        if piece
    )
    return kept if kept and not kept.isspace() else conversation_text(conversation)


#: The text of a conversation, by policy.
TEXT_POLICIES: Mapping[str, Callable[[Conversation], str]] = MappingProxyType(
    {TEXT_POLICY: conversation_text, HEADLESS_POLICY: text_without_headers}
)


def _after_tools(content: str) -> str:
    """A user message without the tools of a Toolformer row; any other message as it is."""
    head = _TOOLFORMER.match(content)
    if head is None:
        return content
    end = head.end()
    for name in head[1].split(","):
        tool = re.compile(_TOOL.format(name=re.escape(name.strip()))).match(content, end)
        if tool is None:
            return content
        end = tool.end()
    return content[end:]


def message_text(message: Message) -> str:
    """Content and tool calls of one message, joined by a blank line; "" where it has neither."""
    return "\n\n".join(_pieces(message))


def _pieces(message: Message, without_tools: bool = False) -> Iterator[str]:
    if message.content:
        yield _after_tools(message.content) if without_tools else message.content
    for call in message.tool_calls or ():
        yield _call_text(call)


def _call_text(call: Any) -> str:
    """`name arguments` of one call; JSON text for a call in any other form."""
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        return call if isinstance(call, str) else canonical_json(call)
    arguments = function.get("arguments", "")
    text = arguments if isinstance(arguments, str) else canonical_json(arguments)
    return f"{function['name']} {text}".rstrip()
