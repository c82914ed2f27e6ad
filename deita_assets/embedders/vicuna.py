"""The Vicuna v1.1 template, in which the paper's embedder reads a whole conversation.

What belongs here: conversations in, text between end-of-sequence tokens out. What does not: tokens and models.
"""

from __future__ import annotations

from collections.abc import Iterator

from deita_assets.core.conversation import Conversation, Message
from deita_assets.core.fingerprint import canonical_json, sha256_hex
from deita_assets.embedders.text import message_text

#: Name of the rules of `render`; a changed rule gets a new name.
TEMPLATE = "vicuna-v1.1"
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
ROLE_WORDS = {"system": "SYSTEM", "user": "USER", "assistant": "ASSISTANT", "tool": "TOOL"}


def render(conversation: Conversation) -> list[str]:
    """The text of a conversation, cut where the template has `</s>`: after each piece but the last stands one.

    For alternating user and assistant messages this is what FastChat's `vicuna_v1.1` gives:
    `{SYSTEM} USER: {ask} ASSISTANT: {answer}</s>USER: {ask} ASSISTANT: {answer}</s>`. The official code skips a
    leading assistant message, fails at a system message and stops in a debugger where roles do not alternate. Here
    every message is rendered, in its order, under its own role's word:

    - A system message at the start takes the place of the template's own text, as in FastChat; a later one reads
      `SYSTEM: {text} `.
    - A tool's answer reads `TOOL: {text} `; the calls of an assistant follow its text as `name arguments`.
    - Messages of one role in a row stand one after the other, none is joined or dropped.
    - A message without any text leaves `USER:` or its like, as in FastChat.
    - Offered tools are left out, as they are for sentence encoders: they are a source's header, not its content.

    Returns:
        At least one piece; the last one is "" where the conversation ends with an answer.
    """
    messages = list(conversation.messages)
    own = messages and messages[0].role == "system" and message_text(messages[0])
    pieces = [f"{own or SYSTEM} "]
    for message in messages[1:] if own else messages:
        said = message_text(message)
        pieces[-1] += f"{ROLE_WORDS[message.role]}: {said}" if said else f"{ROLE_WORDS[message.role]}:"
        if said and message.role == "assistant":
            pieces.append("")
        elif said:
            pieces[-1] += " "
    return pieces


def template_sha256() -> str:
    """sha256 of the template's name, texts and a rendered example, 64 hex characters."""
    return sha256_hex(canonical_json([TEMPLATE, SYSTEM, ROLE_WORDS, render(_EXAMPLE)]))


def _every_role() -> Iterator[Message]:
    yield Message("user", "a")
    yield Message("assistant", "b")
    yield Message("system", "c")
    yield Message("assistant", None, tool_calls=[{"function": {"name": "d", "arguments": "e"}}])
    yield Message("tool", "f")
    yield Message("user", "")


_EXAMPLE = Conversation(tuple(_every_role()))
