"""Rows without answers, as evaluation sets have them: read where answers are not required, refused elsewhere."""

import pytest

from deita_assets.core.formats import FORMATS, RowParser, detect_format
from deita_assets.errors import ParseError

Q1, Q2 = "How many legs?", "And wings?"
ONE = {
    "question": {"question": Q1},
    "question with an answer": {"question": Q1, "answer": "six"},
    "question with choices": {"question": Q1, "choices": ["six", "eight"], "answer": 0},
    "problem": {"problem": Q1, "solution": "six"},
    "text": {"question_id": 3, "text": Q1, "category": "biology"},
    "prompt": {"prompt": Q1, "task_id": "t/1"},
    "prompt with null": {"prompt": Q1, "completion": None},
    "prompt of messages": {"prompt": [{"role": "user", "content": Q1}]},
    "instruction": {"instruction": Q1},
    "instruction with input": {"instruction": "How many", "input": "legs?"},
    "instruction without output": {"instruction": Q1, "input": "", "output": ""},
    "one of turns": {"question_id": 81, "turns": [Q1], "reference": ["six"]},
    "messages": {"messages": [{"role": "user", "content": Q1}]},
    "sharegpt": {"conversations": [{"from": "human", "value": Q1}]},
}
TURNS = {
    "texts": {"question_id": 81, "turns": [Q1, Q2]},
    "objects": {"turns": [{"content": Q1}, {"content": Q2}]},
    "texts under question": {"question": [Q1, Q2]},
    "messages with a gap": {
        "messages": [
            {"role": "user", "content": Q1},
            {"role": "assistant", "content": ""},
            {"role": "user", "content": Q2},
        ]
    },
}


def turns(row, format_="auto", **options):
    parser = RowParser(format_, answers_required=False, **options)
    return [(turn.instruction, turn.response) for turn in parser.parse(row).turns()]


@pytest.mark.parametrize("row", ONE.values(), ids=ONE)
def test_a_question_is_a_turn_with_an_empty_response(row):
    asked = "How many\nlegs?" if "input" in row and row["input"] else Q1
    assert turns(row) == [(asked, "")]
    assert turns(row, detect_format([row], answers_required=False)) == [(asked, "")]


@pytest.mark.parametrize("row", TURNS.values(), ids=TURNS)
def test_each_of_several_questions_is_a_turn(row):
    assert turns(row) == [(Q1, ""), (Q2, "")]
    assert turns(row, detect_format([row], answers_required=False)) == [(Q1, ""), (Q2, "")]


@pytest.mark.parametrize("row", [*ONE.values(), *TURNS.values()], ids=[*ONE, *TURNS])
@pytest.mark.parametrize("format_", ["auto", "questions", *FORMATS])
def test_none_of_these_is_training_data(row, format_):
    with pytest.raises(ParseError):
        RowParser(format_).parse(row)
    assert detect_format([row]) != "questions"


def test_answers_that_are_there_stay():
    assert turns({"instruction": Q1, "output": "six"}) == [(Q1, "six")]
    assert turns({"prompt": Q1, "completion": "six"}) == [(Q1, "six")]
    assert turns({"question": Q1, "reply": "six"}, field_map={"answer": "reply"}) == [(Q1, "six")]
    assert turns({"question": Q1}, field_map={"answer": "reply"}) == [(Q1, "")]
    assert turns({"ask": Q1}, field_map={"question": "ask"}) == [(Q1, "")]


def test_a_whole_format_wins_over_a_lone_question():
    row = {"question": "no", "text": "no", "instruction": "no", "prompt": Q1, "completion": "six"}
    assert turns(row) == [(Q1, "six")]
    assert detect_format([row, {"question": Q1}, row], answers_required=False) == "completion"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"turns": []}, "bad_messages"),
        ({"turns": [Q1, 7]}, "bad_content"),
        ({"turns": [{"text": Q1}]}, "bad_content"),
        ({"question": 7}, "bad_content"),
        ({"question": None}, "unknown_format"),
        ({"foo": Q1}, "unknown_format"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "no_user_message"),
        ({"message_tree_id": "a", "parent_id": "b", "text": Q1}, "message_tree"),
        ({"turns": ["x"] * 3000}, "too_many_messages"),
    ],
)
def test_what_is_no_question_is_still_refused(row, reason):
    with pytest.raises(ParseError) as caught:
        turns(row)
    assert caught.value.reason == reason
