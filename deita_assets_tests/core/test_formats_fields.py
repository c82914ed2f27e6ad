"""Where fields stand: detection, the user's own names, preference files, labels and ignored fields."""

import pytest

from deita_assets.core.formats import (
    FIELDS,
    FORMATS,
    FieldMap,
    RowParser,
    detect_format,
    extra_fields,
    own_id,
    parse_conversation,
    row_language,
)
from deita_assets.core.limits import ReadLimits
from deita_assets.errors import ParseError, UsageError

ROWS = {
    "sharegpt": {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "r"}]},
    "messages": {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "r"}]},
    "alpaca": {"instruction": "q", "output": "r"},
    "completion": {"prompt": "q", "completion": "r"},
}
TREE = {"message_tree_id": "1", "prompt": {"text": "q", "role": "prompter", "replies": []}}


def said(row, format_name="auto", **names):
    messages = RowParser(format_name, names).parse(row).messages
    return [(message.role, message.content) for message in messages]


def reason_of(row, format_name="auto", **names):
    with pytest.raises(ParseError) as caught:
        RowParser(format_name, names).parse(row)
    return caught.value.reason


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_is_recognised(name):
    assert detect_format([ROWS[name]]) == name


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], None),
        ([7, None, "x", [], {}, {"text": "x"}], None),
        ([TREE], None),
        ([ROWS["alpaca"], ROWS["messages"], ROWS["messages"]], "messages"),
        ([{"text": "x"}] * 9 + [ROWS["alpaca"]], "alpaca"),
        ([ROWS["completion"], ROWS["alpaca"]], "completion"),
        ([{"messages": None, **ROWS["alpaca"]}], "alpaca"),
        ([{"prompt": "q", **ROWS["alpaca"]}], "alpaca"),
        ([{"instruction": "q"}] * 3, "alpaca"),
        ([{"instruction": "q"}] * 3 + [ROWS["completion"]], "completion"),
        ([{"prompt": "q", "chosen": "r", "rejected": "s"}], "completion"),
    ],
)
def test_the_commonest_known_format_is_detected(rows, expected):
    assert detect_format(rows) == expected


def test_detection_uses_the_users_names():
    assert detect_format([{"question": "q", "reply": "r"}]) is None
    assert (
        detect_format([{"question": "q", "reply": "r"}], {"instruction": "question", "output": "reply"})
        == "alpaca"
    )
    assert detect_format([{"x": {"chat": []}}], {"messages": "x.chat"}) == "messages"
    assert (
        detect_format([{"prompt": "q", "chosen": "r", "rejected": "s"}], {"answer": "chosen"}) == "completion"
    )


def test_users_names_for_fields():
    assert said({"q": "a", "ctx": "b", "reply": "c"}, instruction="q", input="ctx", output="reply") == [
        ("user", "a\nb"), ("assistant", "c"),
    ]  # fmt: skip
    row = {"dialog": [{"who": "human", "says": "q"}, {"who": "gpt", "says": "r"}]}
    assert said(row, conversations="dialog", role="who", content="says") == [
        ("user", "q"),
        ("assistant", "r"),
    ]


def test_dots_lead_into_objects_unless_they_are_part_of_the_name():
    nested = {"chat": {"turn_1": {"Human": "q", "MOSS": "r"}}}
    names = {"instruction": "chat.turn_1.Human", "output": "chat.turn_1.MOSS"}
    assert said(nested, **names) == [("user", "q"), ("assistant", "r")]
    assert said({"a.b": "q", "a": {"b": "x"}, "output": "r"}, instruction="a.b")[0] == ("user", "q")
    assert reason_of({"chat": "q", "output": "r"}, "alpaca", instruction="chat.turn_1") == "missing_field"


def test_a_named_field_is_not_read_twice():
    """`input` given as the instruction is no longer the input as well."""
    assert said({"input": "q", "output": "r"}, instruction="input") == [("user", "q"), ("assistant", "r")]
    row = {"prompt": "q", "completion": "s", "system": "r"}
    assert said(row, completion="system") == [("user", "q"), ("assistant", "r")]


def test_field_map_out_of_options():
    fields = FieldMap.from_options(["instruction=question", "answer=chosen=1"])
    assert dict(fields.names) == {"instruction": "question", "answer": "chosen=1"}
    assert RowParser("alpaca", fields).parse({"question": "q", "chosen=1": "r"}).turns()[0].response == "r"


@pytest.mark.parametrize(
    "options", [["instruction"], ["ask=instruction"], ["output="], ["output=a", "output=b"], ["=x"]]
)
def test_bad_options_are_refused_with_a_cure(options):
    with pytest.raises(UsageError) as caught:
        FieldMap.from_options(options)
    assert caught.value.cure


def test_a_format_refuses_fields_it_does_not_have():
    with pytest.raises(UsageError, match="instruction"):
        RowParser("messages", {"instruction": "x"})
    for name, fields in FIELDS.items():
        assert RowParser(name, dict.fromkeys(fields, "x")).format == name


PREFERENCES = {
    "sharegpt": {
        "conversations": [{"from": "human", "value": "q"}],
        "chosen": {"from": "gpt", "value": "r"},
        "rejected": {"from": "gpt", "value": "s"},
    },
    "prompt": {"prompt": "q", "chosen": "r", "rejected": "s"},
    "alpaca": {"instruction": "q", "input": "", "chosen": "r", "rejected": "s"},
    "conversational": {
        "prompt": [{"role": "user", "content": "q"}],
        "chosen": [{"role": "assistant", "content": "r"}],
        "rejected": [{"role": "assistant", "content": "s"}],
    },
}


@pytest.mark.parametrize("name", PREFERENCES)
def test_preference_rows_wait_for_the_users_choice(name):
    row = PREFERENCES[name]
    assert reason_of(row) == "preference_pair"
    assert said(row, answer="chosen") == [("user", "q"), ("assistant", "r")]
    assert said(row, answer="rejected") == [("user", "q"), ("assistant", "s")]
    assert said(row, detect_format([row], {"answer": "chosen"}), answer="chosen")[-1] == ("assistant", "r")


def test_whole_chosen_conversations_are_read_as_messages():
    row = {"prompt": "q", "chosen": ROWS["messages"]["messages"], "rejected": []}
    assert reason_of(row) == "preference_pair"
    assert said(row, messages="chosen") == [("user", "q"), ("assistant", "r")]
    assert reason_of(row, answer="chosen") == "bad_messages"


def test_an_answer_comes_after_everything_else():
    assert said({**ROWS["alpaca"], "better": "z"}, answer="better") == [
        ("user", "q"), ("assistant", "r"), ("assistant", "z"),
    ]  # fmt: skip
    assert reason_of({**ROWS["alpaca"], "better": None}, answer="better") == "missing_field"
    assert reason_of(ROWS["alpaca"], answer="better") == "missing_field"
    assert reason_of({**ROWS["alpaca"], "better": 7}, answer="better") == "bad_messages"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"id": "x"}, "x"),
        ({"id": 0}, "0"),
        ({"uuid": "u", "message_id": "m"}, "u"),
        ({"sample_id": "s"}, "s"),
        ({"conversation_id": 12}, "12"),
        ({"message_id": "m"}, "m"),
        ({"id": None, "uuid": "u"}, "u"),
        ({"id": "x" * 300}, "x" * 256),
        ({"id": "\ud800"}, "\\ud800"),
        ({"id": ""}, None),
        ({"id": True}, None),
        ({"id": 1.5}, None),
        ({"id": ["x"]}, None),
        ({"id": 10**5000}, None),
        ({}, None),
        (None, None),
    ],
)
def test_own_id(row, expected):
    assert own_id(row) == expected


def test_own_id_under_another_name():
    assert own_id({"id": "a", "meta": {"key": "b"}}, {"id": "meta.key"}) == "b"


@pytest.mark.parametrize(
    ("row", "expected"),
    [({"lang": "en"}, "en"), ({"language": "German"}, "German"), ({"lang": None, "language": "fr"}, "fr"),
     ({"lang": ["en"]}, None), ({"language": "x" * 100}, None), ({"lang": "\ud800"}, None), ({}, None), (7, None)],
)  # fmt: skip
def test_row_language(row, expected):
    assert row_language(row) == expected


def test_extra_fields_are_those_that_reading_ignores():
    row = {
        "id": 1, "lang": "en", "system": "s", "tools": [], "score": 0.5, "instruction": "x",
        "messages": [{"role": "user", "content": "q", "weight": 0}, {"role": "assistant", "content": "r", "name": "n"}],
    }  # fmt: skip
    assert extra_fields(row, "messages") == ("instruction", "messages[].weight", "score")
    assert extra_fields(ROWS["alpaca"], "alpaca") == ()
    assert extra_fields({**ROWS["alpaca"], "tools": "x"}, "alpaca") == ("tools",)
    assert extra_fields({"q": 1, "output": 2, "instruction": 3}, "alpaca", {"instruction": "q"}) == (
        "instruction",
    )
    assert extra_fields({"a": {"b": "q"}, "output": 2}, "alpaca", {"instruction": "a.b"}) == ()
    assert extra_fields(7, "alpaca") == ()
    assert extra_fields({"x": 1}, "auto") == ()


def test_limits_of_messages():
    limits = ReadLimits(max_messages=4)
    parser = RowParser("auto", None, limits)
    four = {"messages": ROWS["messages"]["messages"] * 2}
    assert len(parser.parse(four).messages) == 4
    for row in (
        {"messages": ROWS["messages"]["messages"] * 3},
        {**four, "system": "s"},
        {**ROWS["alpaca"], "history": [["a", "b"]] * 2},
    ):
        with pytest.raises(ParseError) as caught:
            parser.parse(row)
        assert caught.value.reason == "too_many_messages"
    with pytest.raises(ParseError, match="10000 messages"):
        parse_conversation({"messages": ROWS["messages"]["messages"] * 5_000})
