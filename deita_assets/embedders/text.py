"""The text of a conversation that an embedder reads.

What belongs here: text policies, each under a name that goes into the embedder's fingerprint. What does not:
tokens and models.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deita_assets.core.conversation import Conversation, Message
from deita_assets.core.fingerprint import canonical_json

#: Name of the policy of `conversation_text`; a changed rule gets a new name.
TEXT_POLICY = "messages-v1"


def conversation_text(conversation: Conversation) -> str:
    """Policy `messages-v1`: what was said, in order, joined by blank lines.

    Contents of all messages (system, user, assistant, tool) and, for tool calls, `name arguments`. No role
    words: they are equal in every conversation and would only pull vectors together. Absent and empty
    contents leave no blank line behind. Offered tools are left out: a long header shared by a whole source
    would hide what differs.
    """
    return "\n\n".join(piece for message in conversation.messages for piece in _pieces(message))


def _pieces(message: Message) -> Iterator[str]:
    if message.content:
        yield message.content
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
