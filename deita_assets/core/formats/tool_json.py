"""Tools and tool calls: the only JSON that a conversation keeps beside text.

What belongs here: their forms in the wild and the one form kept. What does not: messages and their roles.
"""

from __future__ import annotations

import json
from typing import Any

from deita_assets.core.formats.failures import failure
from deita_assets.core.shown import describe
from deita_assets.core.strict_json import StrictJsonError, is_encodable, loads

_CALL_FORM = '{"name": ..., "arguments": {...}} or a list of these'


def read_tools(value: Any, path: str, max_depth: int) -> list[Any] | None:
    """The offered tools: a list, or a string that holds a JSON list; None where there are none.

    Raises:
        ParseError: `bad_tools`, or the reason for which their JSON cannot be stored.
    """
    if _is_blank(value) or value == {}:
        return None
    tools = _stored_json(value, path, "bad_tools", max_depth)
    if not isinstance(tools, list):
        raise failure("bad_tools", path, describe(tools), "a list, or a string that holds a JSON list")
    return tools or None


def read_tool_calls(value: Any, path: str, max_depth: int) -> list[Any] | None:
    """`tool_calls` of an assistant message, kept in the form they have; None where there are none.

    Raises:
        ParseError: `bad_tool_call`, or the reason for which their JSON cannot be stored.
    """
    if _is_blank(value):
        return None
    calls = _stored_json(value, path, "bad_tool_call", max_depth)
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise failure("bad_tool_call", path, describe(calls), "a list of objects")
    return calls or None


def read_function_calls(value: Any, path: str, max_depth: int) -> list[Any]:
    """Tool calls out of a `function_call`: one call or a list of them, as JSON or as text that holds JSON.

    Each becomes `{"type": "function", "function": {"name", "arguments"}}` (and `id`, where given) with the
    arguments as a JSON string.

    Raises:
        ParseError: `bad_tool_call`, or the reason for which their JSON cannot be stored.
    """
    found = _stored_json(value, path, "bad_tool_call", max_depth, keep_order=True)
    calls = found if isinstance(found, list) else [found]
    if not calls:
        raise failure("bad_tool_call", path, "an empty list", _CALL_FORM)
    return [_call(call, path) for call in calls]


def _is_blank(value: Any) -> bool:
    return value is None or value == [] or (isinstance(value, str) and not value.strip())


def _call(call: Any, path: str) -> dict[str, Any]:
    if isinstance(call, dict) and isinstance(call.get("function"), dict):
        call = {"id": call.get("id"), **call["function"]}
    if not isinstance(call, dict) or not isinstance(call.get("name"), str) or not call["name"]:
        raise failure("bad_tool_call", path, describe(call), _CALL_FORM)
    if "arguments" not in call and set(call) - {"id", "name", "type"}:
        raise failure("bad_tool_call", path, describe(call), "the arguments of the call in `arguments`")
    arguments = call.get("arguments")
    text = arguments if isinstance(arguments, str) else _dump(arguments if arguments is not None else {})
    stored: dict[str, Any] = {"type": "function", "function": {"name": call["name"], "arguments": text}}
    if isinstance(call.get("id"), str):
        stored["id"] = call["id"]
    return stored


def _stored_json(value: Any, path: str, reason: str, max_depth: int, *, keep_order: bool = False) -> Any:
    """A copy of `value`, or of the JSON that it holds as text, that any store can hold."""
    text = value if isinstance(value, str) else _dumped(value, path, reason, sort_keys=not keep_order)
    if not is_encodable(text):
        raise failure("lone_surrogate", path, describe(value), "text that UTF-8 can hold")
    try:
        return loads(text, max_depth)
    except StrictJsonError as error:
        code = reason if error.reason == "malformed_json" else error.reason
        raise failure(code, path, f"{describe(value)}; {error.detail}", "JSON") from None


def _dumped(value: Any, path: str, reason: str, *, sort_keys: bool) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=sort_keys)
    except RecursionError:
        raise failure("too_deep", path, describe(value), "fewer open brackets") from None
    except (TypeError, ValueError) as error:
        # Bytes or dates out of a table; integers with more digits than Python writes.
        code = "number_out_of_range" if "integer string conversion" in str(error) else reason
        raise failure(code, path, f"{describe(value)}; {type(error).__name__}", "JSON values") from None


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
