"""Each format with one turn, several turns, system text and tools; and that all give the same conversation."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_assets.core.conversation import Conversation, Message
from deita_assets.core.formats import FORMATS, RowParser, parse_conversation
from deita_assets.errors import ParseError, UsageError

TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
ONE_TURN = {
    "sharegpt": {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "r"}]},
    "sharegpt with roles": {
        "conversations": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "r"}]
    },
    "messages": {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "r"}]},
    "messages in parts": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "q"}]},
            {"role": "assistant", "content": [{"type": "text", "value": "r"}], "weight": 1},
        ]
    },
    "alpaca": {"instruction": "q", "input": "", "output": "r"},
    "alpaca without input": {"instruction": "q", "output": "r"},
    "alpaca with null input": {
        "instruction": "q",
        "input": None,
        "output": "r",
        "history": None,
        "system": None,
    },
    "alpaca with response": {"instruction": "q", "response": "r", "history": []},
    "completion": {"prompt": "q", "completion": "r"},
    "completion in messages": {
        "prompt": [{"role": "user", "content": "q"}],
        "completion": [{"role": "assistant", "content": "r"}],
    },
    "completion, half in messages": {"prompt": [{"role": "user", "content": "q"}], "completion": "r"},
}
SYSTEM_TWO_TURNS = {
    "sharegpt": {
        "conversations": [
            {"from": "system", "value": "s"},
            {"from": "human", "value": "q"},
            {"from": "gpt", "value": "r"},
            {"from": "human", "value": "p"},
            {"from": "gpt", "value": "t"},
        ]
    },
    "messages with a sibling system": {
        "system": "s",
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "r"},
            {"role": "user", "content": "p"},
            {"role": "assistant", "content": "t"},
        ],
    },
    "messages with the system twice": {
        "system": "s",
        "messages": [
            {"role": "developer", "content": "s"},
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "r"},
            {"role": "user", "content": "p"},
            {"role": "assistant", "content": "t"},
        ],
    },
    "alpaca with history": {
        "system": "s",
        "history": [["q", "r"]],
        "instruction": "p",
        "input": "",
        "output": "t",
    },
    "completion": {
        "system": "s",
        "prompt": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": "r"},
            {"role": "user", "content": "p"},
        ],
        "completion": [{"role": "assistant", "content": "t"}],
    },
}


def said(conversation):
    return [(message.role, message.content) for message in conversation.messages]


@pytest.mark.parametrize("name", ONE_TURN)
def test_one_turn_is_the_same_conversation_in_every_format(name):
    expected = Conversation((Message("user", "q"), Message("assistant", "r")))
    assert parse_conversation(ONE_TURN[name]) == expected
    assert parse_conversation(ONE_TURN[name], name.partition(" ")[0].rstrip(",")) == expected


@pytest.mark.parametrize("name", SYSTEM_TWO_TURNS)
def test_system_and_two_turns_in_every_format(name):
    conversation = parse_conversation(SYSTEM_TWO_TURNS[name])
    assert said(conversation) == [
        ("system", "s"), ("user", "q"), ("assistant", "r"), ("user", "p"), ("assistant", "t"),
    ]  # fmt: skip


def test_another_system_text_beside_the_messages_comes_first():
    row = {"system": "s", "messages": [{"role": "system", "content": "x"}, *ONE_TURN["messages"]["messages"]]}
    assert said(parse_conversation(row))[:2] == [("system", "s"), ("system", "x")]


def test_empty_system_text_is_none():
    assert parse_conversation({"system": "", **ONE_TURN["alpaca"]}) == parse_conversation(ONE_TURN["alpaca"])


def test_alpaca_joins_instruction_and_input_with_a_line_end():
    row = {"instruction": "Identify the verbs:", "input": "  They spoke.", "output": "spoke"}
    assert said(parse_conversation(row))[0] == ("user", "Identify the verbs:\n  They spoke.")


@pytest.mark.parametrize(
    ("role", "canonical"),
    [
        *((role, "user") for role in ("human", "user", "Human", "USER")),
        *((role, "assistant") for role in ("gpt", "assistant", "chatgpt", "bard", "bing", "model")),
        *((role, "system") for role in ("system", "developer")),
        *((role, "tool") for role in ("tool", "observation", "function_response", "function")),
    ],
)
def test_roles(role, canonical):
    row = {"conversations": [*ONE_TURN["sharegpt"]["conversations"], {"from": role, "value": "x"}]}
    assert said(parse_conversation(row))[-1] == (canonical, "x")


def test_text_is_taken_unchanged():
    text = " \t\r\n<noinput>\x00 e\u0301\u200b\u202e<|endoftext|>\ufffd\n"
    for row in (
        {"conversations": [{"from": "human", "value": text}, {"from": "gpt", "value": text}]},
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": text}]},
        {"instruction": text, "output": text},
        {"prompt": text, "completion": text},
    ):
        assert said(parse_conversation(row)) == [("user", text), ("assistant", text)]


def test_parts_are_joined_without_anything_between():
    parts = [
        {"type": "text", "text": "a "},
        {"type": "text", "value": "b"},
        {"type": "text", "text": ""},
        "c",
    ]
    row = {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": "r"}]}
    assert said(parse_conversation(row))[0] == ("user", "a bc")


def test_labels_of_messages_are_kept():
    row = {
        "messages": [
            {"role": "user", "content": "q", "name": "ann"},
            {"role": "assistant", "content": "r"},
            {"role": "tool", "content": "", "name": "f", "tool_call_id": "7"},
        ]
    }
    user, _, tool = parse_conversation(row).messages
    assert user.name == "ann"
    assert (tool.name, tool.tool_call_id) == ("f", "7")


def test_a_message_may_be_empty_where_another_answers():
    row = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": ""},
                        {"role": "user", "content": ""}, {"role": "assistant", "content": "r"}]}  # fmt: skip
    assert [turn.response for turn in parse_conversation(row).turns()] == ["", "r"]


PAIRS = st.lists(
    st.tuples(st.text(max_size=6), st.text(min_size=1, max_size=6).map(lambda t: f"r{t}")), min_size=1
)


@given(PAIRS, st.text(max_size=4))
@settings(deadline=None, max_examples=150)
def test_formats_agree_on_any_text(pairs, system):
    """One conversation written in each format by its own rule comes back the same."""
    chat = [(role, text) for pair in pairs for role, text in zip(("user", "assistant"), pair, strict=True)]
    names = {"user": "human", "assistant": "gpt"}
    *history, (question, answer) = pairs
    rows = [
        {"conversations": [{"from": names[role], "value": text} for role, text in chat], "system": system},
        {"messages": [{"role": role, "content": text} for role, text in chat], "system": system},
        {
            "instruction": question,
            "output": answer,
            "history": [list(pair) for pair in history],
            "system": system,
        },
        {
            "prompt": [{"role": role, "content": text} for role, text in chat[:-1]],
            "completion": answer,
            "system": system,
        },
    ]
    found = {parse_conversation(row).canonical_json() for row in rows}
    assert len(found) == 1
    assert said(Conversation.from_canonical(found.pop())) == ([("system", system)] if system else []) + chat


def test_unknown_format_is_a_usage_error():
    with pytest.raises(UsageError, match="sharegpt"):
        parse_conversation({}, "csv")


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_given_format_refuses_rows_of_another(format_name):
    for other in FORMATS:
        if other == format_name:
            continue
        with pytest.raises(ParseError) as caught:
            RowParser(format_name).parse(ONE_TURN[other])
        assert caught.value.reason == "format_mismatch"
        assert other in caught.value.found


def test_errors_name_place_find_expectation_and_cure():
    row = {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": 7}]}
    with pytest.raises(ParseError) as caught:
        parse_conversation(row)
    error = caught.value
    assert (error.reason, error.path, error.found) == ("bad_content", "conversations[1].value", "a number")
    assert error.expected
    assert error.cure


SECRET = "the whole text of this row must not show up in messages " * 20


@pytest.mark.parametrize(
    "row",
    [
        SECRET,
        [SECRET],
        {"messages": SECRET},
        {"messages": [{"role": SECRET, "content": "x"}]},
        {"messages": [{"role": "user", "content": {SECRET: 1}}]},
        {"messages": [{"role": "user", "content": [{"type": SECRET}]}]},
        {"messages": [{"role": "user", "content": SECRET}]},
        {"conversations": [{"from": "function_call", "value": SECRET}]},
        {"instruction": SECRET, "output": [SECRET]},
        {SECRET: 1},
    ],
)
def test_what_was_found_is_short_and_holds_no_row_text(row):
    with pytest.raises(ParseError) as caught:
        parse_conversation(row)
    assert len(caught.value.found) <= 80
    assert SECRET[:81] not in str(caught.value)
    str(caught.value).encode("utf-8")


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=100))
@settings(deadline=None, max_examples=100)
def test_messages_about_strange_roles_can_be_printed(role):
    with pytest.raises(ParseError) as caught:
        parse_conversation({"messages": [{"role": f"?{role}", "content": "x"}]})
    assert caught.value.reason == "unknown_role"
    assert str(caught.value).isprintable()
    assert len(caught.value.found.encode("utf-8")) <= 4 * 80
