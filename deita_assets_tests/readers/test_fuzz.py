"""Whatever comes in: a value, a reject or one of two errors, never anything else."""

import gzip
import json

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deita_assets.core.conversation import Conversation
from deita_assets.core.formats import FORMATS, RowParser, detect_format, extra_fields, own_id, row_language
from deita_assets.core.reasons import REASONS
from deita_assets.errors import ParseError, SourceFileError
from deita_assets.readers import Record, Reject, read_records
from deita_assets_tests.readers import packing

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=8)
WORDS = st.sampled_from(
    [
        "human",
        "gpt",
        "user",
        "assistant",
        "tool",
        "system",
        "function_call",
        "text",
        "",
        "q",
        '{"name": "f"}',
        "[]",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**400)
    | st.floats()
    | WORDS
    | ANY_TEXT
    | st.binary(max_size=3)
)
KEYS = st.sampled_from(
    [
        "conversations", "messages", "instruction", "input", "output", "response", "history", "prompt", "completion",
        "system", "tools", "from", "value", "role", "content", "name", "tool_calls", "tool_call_id", "function_call",
        "type", "text", "chosen", "rejected", "id", "lang", "message_tree_id", "replies", "images", "arguments",
    ]
)  # fmt: skip
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "role": WORDS,
        "content": SCALARS,
        "from": WORDS,
        "value": SCALARS,
        "tool_calls": st.lists(SCALARS),
    },
)
VALUES = st.recursive(
    SCALARS | MESSAGE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | ANY_TEXT, inner, max_size=5),
    max_leaves=15,
)
MAPS = st.sampled_from(
    [
        {},
        {"answer": "chosen"},
        {"role": "from"},
        {"content": "text"},
        {"system": "prompt.text"},
        {"id": "value"},
    ]
)


@given(VALUES, st.sampled_from(["auto", *FORMATS]), MAPS)
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_any_value_is_a_conversation_or_a_parse_error(value, format_name, names):
    if format_name in ("alpaca",):
        names = {ours: theirs for ours, theirs in names.items() if ours not in ("role", "content")}
    parser = RowParser(format_name, names)
    try:
        conversation = parser.parse(value)
    except ParseError as error:
        assert error.reason in REASONS
        assert len(error.found) <= 80
        str(error).encode("utf-8")
    else:
        assert any(turn.response for turn in conversation.turns())
        assert Conversation.from_canonical(conversation.canonical_json()) == conversation
        conversation.content_sha256()
    assert detect_format([value], names) in (None, *FORMATS)
    for label in (own_id(value, names), row_language(value), *extra_fields(value, format_name, names)):
        assert label is None or label.encode("utf-8") is not None


GOOD = [
    {"id": n, "conversations": [{"from": "human", "value": f'q{n} "[{{'}, {"from": "gpt", "value": "é😀"}]}
    for n in range(20)
]
FILES = [
    packing.jsonl(GOOD),
    packing.json_array(GOOD),
    packing.json_array_pretty(GOOD),
    packing.json_objects(GOOD),
    packing.gzipped(packing.jsonl(GOOD)),
    packing.zstd(packing.json_array(GOOD)),
    packing.parquet(GOOD),
]


def check(path, raw):
    path.write_bytes(raw)
    lines = []
    try:
        for found in read_records(path):
            assert isinstance(found, Record | Reject)
            lines.append(found.line)
            if isinstance(found, Reject):
                assert found.reason in REASONS
                (found.detail + found.raw_prefix).encode("utf-8")
            else:
                json.dumps(found.value, default=str)
    except SourceFileError as error:
        assert str(path) in error.message
        assert error.cure
    else:
        assert lines
    assert lines == sorted(lines)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "rows"


@given(st.binary(max_size=200) | st.text(alphabet='[]{}",:\\ \n1ae', max_size=60).map(str.encode))
@example(b"[")
@example(b"]")
@example(b"{")
@example(b'["')
@example(b'["\\')
@example(b"[]]")
@example(b'{"a":1}]')
@example(b'{\n"a":1}]}')
@settings(deadline=None, max_examples=250)
def test_any_bytes_are_rows_rejects_or_a_source_file_error(path, raw):
    check(path, raw)


@given(
    st.sampled_from(range(len(FILES))),
    st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(0, 255), st.sampled_from("sdic")), min_size=1, max_size=4
    ),
)
@settings(deadline=None, max_examples=250)
def test_damaged_files_are_rows_rejects_or_a_source_file_error(path, which, damages):
    raw = bytearray(FILES[which])
    for place, byte, kind in damages:
        at = place % (len(raw) + 1)
        if kind == "s":
            raw[at : at + 1] = bytes([byte])
        elif kind == "d":
            del raw[at : at + 1]
        elif kind == "i":
            raw[at:at] = bytes([byte])
        else:
            del raw[at:]
    check(path, bytes(raw))


@given(st.lists(VALUES.filter(lambda value: not isinstance(value, bytes)), min_size=1, max_size=4))
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
def test_what_python_writes_is_read_or_rejected_line_by_line(path, values):
    lines = [json.dumps(value, default=str) for value in [{}, *values]]
    path.write_bytes(gzip.compress("\n".join(lines).encode() + b"\n"))
    assert [found.line for found in read_records(path)] == list(range(1, len(lines) + 1))
