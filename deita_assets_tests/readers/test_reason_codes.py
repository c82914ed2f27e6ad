"""Every reason of quarantine has a description and a cure, and some row that brings it about."""

import json

import pyarrow as pa
import pytest

from deita_assets.core.formats import RowParser
from deita_assets.core.limits import ReadLimits
from deita_assets.core.reasons import REASONS
from deita_assets.errors import ParseError
from deita_assets.readers import Reject, read_records
from deita_assets_tests.readers import packing

USER = {"role": "user", "content": "q"}
ANSWER = {"role": "assistant", "content": "r"}


def chat(*messages, **fields):
    return json.dumps({"messages": [USER, *messages, ANSWER], **fields}).encode() + b"\n"


def row(**fields):
    return json.dumps(fields).encode() + b"\n"


FILES = {
    "invalid_utf8": b'{"instruction":"\xff","output":"r"}\n',
    "lone_surrogate": b'{"instruction":"\\ud800","output":"r"}\n',
    "malformed_json": b'{"instruction":"q",}\n',
    "truncated_json": b'{"instruction":"q","out',
    "not_an_object": b'"q"\n',
    "too_deep": b'{"instruction":' + b"[" * 300 + b"]" * 300 + b"}\n",
    "non_finite_number": b'{"instruction":"q","output":"r","score":NaN}\n',
    "number_out_of_range": b'{"instruction":"q","output":"r","score":' + b"7" * 5_000 + b"}\n",
    "duplicate_key": b'{"instruction":"q","output":"r","output":"s"}\n',
    "line_too_long": row(instruction="q" * 20_000, output="r"),
    "unreadable_value": packing.parquet_table(pa.table({"at": pa.array([2**62], pa.timestamp("us"))})),
    "unknown_format": row(text="q"),
    "format_mismatch": row(instruction="q", output="r"),
    "missing_field": row(instruction="q"),
    "preference_pair": row(prompt="q", chosen="r", rejected="s"),
    "message_tree": row(message_tree_id="1", tree_state="ready", prompt={"text": "q", "replies": []}),
    "bad_messages": row(messages=[]),
    "too_many_messages": chat(*[USER] * 5_000),
    "unknown_role": chat({"role": "narrator", "content": "x"}),
    "bad_content": chat({"role": "assistant", "content": None}),
    "multimodal_unsupported": chat(
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}
    ),
    "bad_tool_call": row(
        conversations=[{"from": "human", "value": "q"}, {"from": "function_call", "value": "f(1)"}]
    ),
    "bad_tools": chat(tools="a calculator"),
    "no_user_message": row(messages=[ANSWER]),
    "empty_response": row(instruction="q", output=" \n"),
}
#: Formats given by the user; all others are recognised.
FORMATS = {"format_mismatch": "messages"}


@pytest.mark.parametrize("reason", REASONS)
def test_some_row_has_this_reason(tmp_path, reason):
    path = tmp_path / "rows"
    path.write_bytes(FILES[reason])
    (found,) = read_records(path, ReadLimits(max_line_bytes=10_000 if reason == "line_too_long" else 1 << 20))
    if isinstance(found, Reject):
        assert found.reason == reason
        return
    with pytest.raises(ParseError) as caught:
        RowParser(FORMATS.get(reason, "auto")).parse(found.value)
    assert caught.value.reason == reason
    assert caught.value.cure == REASONS[reason].cure


MORE = [
    ("bad_messages", row(messages=None)),
    ("bad_messages", row(messages="q")),
    ("bad_messages", row(messages={"role": "user"})),
    ("bad_messages", row(conversations=["q", "r"])),
    ("bad_messages", row(instruction="q", output="r", history=["q", "r"])),
    ("bad_messages", row(instruction="q", output="r", history=[["q"]])),
    ("bad_messages", row(prompt=[], completion="r")),
    ("unknown_role", chat({"content": "x"})),
    ("unknown_role", chat({"role": None, "content": "x"})),
    ("unknown_role", chat({"role": ["user"], "content": "x"})),
    ("bad_content", chat({"role": "user", "content": 7})),
    ("bad_content", chat({"role": "user", "content": True})),
    ("bad_content", chat({"role": "user"})),
    ("bad_content", chat({"role": "user", "content": {"text": "x"}})),
    ("bad_content", chat({"role": "user", "content": [7]})),
    ("bad_content", chat({"role": "user", "content": [{"type": "text"}]})),
    ("bad_content", chat({"role": "user", "content": [{"text": "x"}]})),
    ("bad_content", chat({"role": "user", "content": "x", "name": 7})),
    ("bad_content", chat(system=["s"])),
    ("bad_content", row(instruction="q", output=False)),
    ("bad_content", row(instruction="q", output="r", input=7)),
    ("bad_content", row(instruction="q", output="r", history=[["q", None]])),
    ("bad_content", row(prompt=7, completion="r")),
    ("multimodal_unsupported", chat(images=["cat.png"])),
    ("missing_field", row(instruction="q", output=None)),
    ("missing_field", row(instruction=None, output=None)),
    ("missing_field", row(prompt="q")),
    ("message_tree", row(message_tree_id="1", message_id="2", parent_id="1", text="q", role="prompter")),
    ("unknown_format", row()),
    ("no_user_message", row(messages=[{"role": "system", "content": "s"}, ANSWER])),
    ("empty_response", row(messages=[USER])),
    ("empty_response", row(messages=[ANSWER, USER])),
    ("empty_response", row(prompt="q", completion="")),
    ("lone_surrogate", b'{"instruction":"q","output":"r","label":"\\udc00"}\n'),
]


@pytest.mark.parametrize(("reason", "raw"), MORE)
def test_other_rows_of_these_reasons(tmp_path, reason, raw):
    path = tmp_path / "rows"
    path.write_bytes(raw)
    (found,) = read_records(path)
    if isinstance(found, Reject):
        assert found.reason == reason
        return
    with pytest.raises(ParseError) as caught:
        RowParser().parse(found.value)
    assert caught.value.reason == reason


def test_reasons_explain_themselves():
    assert set(FILES) == set(REASONS)
    for code, reason in REASONS.items():
        assert reason.code == code
        assert code.isidentifier()
        assert code == code.lower()
        for text in (reason.description, reason.cure):
            assert text.endswith(".")
            assert len(text) <= 120
