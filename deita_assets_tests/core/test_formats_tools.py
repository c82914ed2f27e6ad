"""Tools and tool calls: their forms in the wild become one."""

import json

import pytest

from deita_assets.core.conversation import Conversation
from deita_assets.core.formats import parse_conversation
from deita_assets.errors import ParseError

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"z": 1, "a": [True, None, 1.5]}}}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
TURN = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "r"}]


def with_call(**fields):
    return {
        "messages": [TURN[0], {"role": "assistant", **fields}, {"role": "tool", "content": "42"}, TURN[1]]
    }


def sharegpt_call(value):
    return {
        "conversations": [
            {"from": "human", "value": "q"},
            {"from": "function_call", "value": value},
            {"from": "observation", "value": "42"},
            {"from": "gpt", "value": "r"},
        ]
    }


def reason_of(row):
    with pytest.raises(ParseError) as caught:
        parse_conversation(row)
    return caught.value.reason


@pytest.mark.parametrize("tools", [[TOOL], json.dumps([TOOL]), json.dumps([TOOL], indent=2)])
def test_tools_as_list_or_as_text(tools):
    for row in ({"messages": TURN, "tools": tools}, {**sharegpt_call('{"name": "f"}'), "tools": tools}):
        assert parse_conversation(row).tools == [TOOL]


@pytest.mark.parametrize("tools", [None, "", " ", [], "[]", {}])
def test_no_tools(tools):
    assert parse_conversation({"messages": TURN, "tools": tools}) == parse_conversation({"messages": TURN})


@pytest.mark.parametrize(
    ("tools", "reason"),
    [
        ("a calculator", "bad_tools"),
        ("{}", "bad_tools"),
        (7, "bad_tools"),
        (b"[]", "bad_tools"),
        ([{"x": b""}], "bad_tools"),
        ([float("nan")], "non_finite_number"),
        ("[NaN]", "non_finite_number"),
        ("[1e999]", "non_finite_number"),
        (["\ud800"], "lone_surrogate"),
        ('["\\ud800"]', "lone_surrogate"),
        ([{"\udfff": 1}], "lone_surrogate"),
        ([10**400], "number_out_of_range"),
        ([10**5000], "number_out_of_range"),
        (f"[{10**400}]", "number_out_of_range"),
        ('[{"a": 1, "a": 2}]', "duplicate_key"),
        ("[" * 300 + "]" * 300, "too_deep"),
    ],
)
def test_tools_that_cannot_be_stored(tools, reason):
    assert reason_of({"messages": TURN, "tools": tools}) == reason


@pytest.mark.parametrize("depth", [300, 5_000, 200_000])
def test_tools_nested_beyond_the_limit(depth):
    nested = []
    for _ in range(depth):
        nested = [nested]
    assert reason_of({"messages": TURN, "tools": nested}) == "too_deep"
    while nested:  # taken apart from outside: freeing it at once would recurse as deep
        nested = nested.pop()


@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": ""}, {"content": "let me see"}])
def test_calls_need_no_content(content):
    message = parse_conversation(with_call(tool_calls=[CALL], **content)).messages[1]
    assert message.tool_calls == [CALL]
    assert message.content == content.get("content")


@pytest.mark.parametrize("calls", [None, []])
def test_null_content_without_calls_is_none(calls):
    assert reason_of(with_call(content=None, tool_calls=calls)) == "bad_content"


@pytest.mark.parametrize("calls", ["x", 7, {"name": "f"}, ["x"], [[CALL]], '{"name": "f"}'])
def test_calls_that_are_no_list_of_objects(calls):
    assert reason_of(with_call(content="", tool_calls=calls)) == "bad_tool_call"


def test_calls_of_a_user_are_refused():
    row = {"messages": [{**TURN[0], "tool_calls": [CALL]}, TURN[1]]}
    assert reason_of(row) == "bad_tool_call"


def test_calls_held_as_text():
    assert parse_conversation(with_call(tool_calls=json.dumps([CALL]))).messages[1].tool_calls == [CALL]


def function(name, arguments):
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("value", "calls"),
    [
        ('{"name": "f", "arguments": {"b": 1, "a": "é"}}', [function("f", '{"b": 1, "a": "é"}')]),
        ('{"name": "f", "arguments": "{\\"b\\":1}"}', [function("f", '{"b":1}')]),
        ('{"name": "f", "arguments": []}', [function("f", "[]")]),
        ('{"name": "f", "arguments": null}', [function("f", "{}")]),
        ('{"name": "f"}', [function("f", "{}")]),
        ('[{"name": "f"}, {"name": "g", "arguments": {}}]', [function("f", "{}"), function("g", "{}")]),
        ({"name": "f", "arguments": {"b": 1, "a": 2}}, [function("f", '{"b": 1, "a": 2}')]),
        (json.dumps(CALL), [CALL]),
    ],
)
def test_sharegpt_function_call(value, calls):
    message = parse_conversation(sharegpt_call(value)).messages[1]
    assert (message.role, message.content, message.tool_calls) == ("assistant", None, calls)


@pytest.mark.parametrize(
    "value",
    ["f(1)", "", "[]", "7", "{}", '{"name": 7}', '{"name": "", "arguments": {}}', '{"name": "f", "parameters": {}}',
     '["f"]', '<think></think>{"name": "f"}', None, 7],
)  # fmt: skip
def test_function_call_that_is_none(value):
    assert reason_of(sharegpt_call(value)) == "bad_tool_call"


def test_function_call_of_the_older_api():
    row = with_call(content=None, function_call={"name": "f", "arguments": '{"x": 1}'})
    assert parse_conversation(row).messages[1].tool_calls == [function("f", '{"x": 1}')]


def test_turns_of_a_tool_conversation():
    turns = parse_conversation(sharegpt_call('{"name": "f"}')).turns()
    assert [(turn.instruction, turn.response) for turn in turns] == [("q", "r")]


def test_only_calls_is_an_empty_response():
    row = {"messages": [TURN[0], {"role": "assistant", "content": None, "tool_calls": [CALL]}]}
    assert reason_of(row) == "empty_response"


def test_tools_are_a_copy_and_survive_the_round_trip():
    tools = [{"b": {"z": 1, "y": (1, 2)}}]
    conversation = parse_conversation({"messages": TURN, "tools": tools})
    tools[0]["b"]["z"] = 2
    assert conversation.tools == [{"b": {"z": 1, "y": [1, 2]}}]
    assert Conversation.from_canonical(conversation.canonical_json()) == conversation
