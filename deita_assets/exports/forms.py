"""One conversation in the form that a trainer reads, or why that form cannot hold it.

What belongs here: rows of the forms, and nothing lost without a name. What does not: files, scores, or reading forms
(core.formats).

    messages   messages: [{role, content[, name, tool_calls, tool_call_id]}, ...][, tools]      holds everything
    sharegpt   conversations: [{from, value}, ...][, system][, tools]      roles human gpt function_call observation
    alpaca     instruction, input, output[, system][, history]

The last two as LLaMA-Factory documents them (`data/README.md`): what they hold alternates between a side that asks
(human, observation) and one that answers (gpt, function_call), and ends with an answer. LLaMA-Factory drops other rows
with no more than a line in its log, and FastChat stops at them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

#: Why a form cannot hold a row: code -> meaning.
SKIPS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "tools": "it offers or calls tools, and the form has none",
        "roles_do_not_alternate": "its messages do not alternate between who asks and who answers",
        "no_answer_at_the_end": "its last message is no answer of the assistant",
        "system_message_inside": "a system message stands after its first message",
        "empty_system_message": "its system message is empty, which in this form means none",
        "text_beside_calls": "a message holds text and tool calls, and the form has room for one of them",
        "other_call_form": "a tool call is not a function's name with arguments in a JSON object",
    }
)
#: What a form leaves out of rows that it holds: code -> meaning.
LEFT_OUT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "names": "names of speakers and tools",
        "call_ids": "ids of tool calls; the order of messages tells which result is whose",
    }
)
_ASKS, _ANSWERS = ("user", "tool"), ("assistant",)


@dataclass(frozen=True)
class Held:
    """A row of the form, and codes of what was left out of it."""

    row: dict[str, Any]
    left_out: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Skipped:
    """The form cannot hold this conversation; `reason` is a key of `SKIPS`."""

    reason: str


def messages_row(conversation: Mapping[str, Any]) -> Held | Skipped:
    """The canonical conversation as it is."""
    return Held(dict(conversation))


def sharegpt_row(conversation: Mapping[str, Any]) -> Held | Skipped:
    """ShareGPT: the system text and the tools (as JSON text) stand beside the conversation."""
    system, messages = _split_system(conversation["messages"])
    trouble = _shape_trouble(messages)
    if trouble:
        return Skipped(trouble)
    turns = []
    for message in messages:
        turn = _turn(message)
        if isinstance(turn, Skipped):
            return turn
        turns.append(turn)
    row: dict[str, Any] = {"conversations": turns}
    if system and system["content"]:
        row["system"] = system["content"]
    elif system:  # beside the conversation an empty text would mean none
        turns.insert(0, {"from": "system", "value": ""})
    if conversation.get("tools") is not None:
        row["tools"] = json.dumps(conversation["tools"], ensure_ascii=False)
    return Held(row, _left_out(conversation["messages"]))


def alpaca_row(conversation: Mapping[str, Any]) -> Held | Skipped:
    """Alpaca: the last question and answer, those before them as history."""
    messages = conversation["messages"]
    if conversation.get("tools") is not None or any(
        m["role"] == "tool" or "tool_calls" in m for m in messages
    ):
        return Skipped("tools")
    system, rest = _split_system(messages)
    trouble = _shape_trouble(rest)
    if trouble or (system and not system["content"]):
        return Skipped(trouble or "empty_system_message")
    texts = [message["content"] for message in rest]
    row: dict[str, Any] = {"instruction": texts[-2], "input": "", "output": texts[-1]}
    if system:
        row["system"] = system["content"]
    if len(texts) > 2:
        row["history"] = [list(pair) for pair in zip(texts[0:-2:2], texts[1:-2:2], strict=True)]
    return Held(row, _left_out(messages))


#: Form of rows -> its maker.
ROWS: Final[Mapping[str, Callable[[Mapping[str, Any]], Held | Skipped]]] = MappingProxyType(
    {"messages": messages_row, "sharegpt": sharegpt_row, "alpaca": alpaca_row}
)


def _split_system(messages: list[dict[str, Any]]) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    return (messages[0], messages[1:]) if messages[0]["role"] == "system" else (None, messages)


def _shape_trouble(messages: list[dict[str, Any]]) -> str | None:
    roles = [message["role"] for message in messages]
    if "system" in roles:
        return "system_message_inside"
    if any(role not in (_ANSWERS if at % 2 else _ASKS) for at, role in enumerate(roles)):
        return "roles_do_not_alternate"
    return "no_answer_at_the_end" if len(roles) % 2 else None


def _turn(message: Mapping[str, Any]) -> dict[str, str] | Skipped:
    calls = message.get("tool_calls")
    if calls is None:
        names = {"user": "human", "assistant": "gpt", "tool": "observation"}
        return {"from": names[message["role"]], "value": message["content"]}
    if message["content"]:
        return Skipped("text_beside_calls")
    plain = [_plain_call(call) for call in calls]
    if not all(plain):
        return Skipped("other_call_form")
    value = plain[0] if len(plain) == 1 else plain
    return {"from": "function_call", "value": json.dumps(value, ensure_ascii=False)}


def _plain_call(call: Mapping[str, Any]) -> dict[str, Any] | None:
    """`{"name", "arguments"}` with the arguments as an object, as LLaMA-Factory renders them; None for other calls."""
    function = call.get("function")
    if set(call) - {"id", "type", "function"} or call.get("type", "function") != "function":
        return None
    if not isinstance(function, dict) or set(function) != {"name", "arguments"}:
        return None
    arguments = function["arguments"]
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return None
    if not isinstance(function["name"], str) or not isinstance(arguments, dict):
        return None
    return {"name": function["name"], "arguments": arguments}


def _left_out(messages: list[dict[str, Any]]) -> frozenset[str]:
    named = any("name" in message for message in messages)
    numbered = any(
        "tool_call_id" in message or any("id" in call for call in message.get("tool_calls") or ())
        for message in messages
    )
    return frozenset(code for code, found in (("names", named), ("call_ids", numbered)) if found)
