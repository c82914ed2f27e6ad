"""One bad row costs that row, with its line, reason and first characters; the rest is read."""

import json

import pytest

from deita_assets.core.limits import ReadLimits
from deita_assets.readers import Record, Reject, decode_record, read_records

GOOD = b'{"instruction":"q","output":"r"}'
BAD = {
    "byte that is no UTF-8": (b'{"a":"\xff"}', "invalid_utf8"),
    "surrogate as bytes": (b'{"a":"\xed\xa0\x80"}', "invalid_utf8"),
    "half a character": (b'{"a":"\xc3"}', "invalid_utf8"),
    "half an emoji": (b'{"a":"\\ud83d"}', "lone_surrogate"),
    "the other half": (b'{"a":["\\uDE00"]}', "lone_surrogate"),
    "halves in the wrong order": (b'{"a":"\\ude00\\ud83d"}', "lone_surrogate"),
    "half an emoji in a key": (b'{"\\ud83d":1}', "lone_surrogate"),
    "no JSON": (b"instruction: q", "malformed_json"),
    "open string": (b'{"a":"x}', "malformed_json"),
    "single quotes": (b"{'a':1}", "malformed_json"),
    "comma too many": (b'{"a":1,}', "malformed_json"),
    "tab in a string": (b'{"a":"\t"}', "malformed_json"),
    "bad escape": (b'{"a":"\\x"}', "malformed_json"),
    "text behind": (b'{"a":1} x', "malformed_json"),
    "NaN": (b'{"a":NaN}', "non_finite_number"),
    "Infinity": (b'{"a":[-Infinity]}', "non_finite_number"),
    "1e999": (b'{"a":1e999}', "non_finite_number"),
    "integer of 5000 digits": (b'{"a":' + b"7" * 5_000 + b"}", "number_out_of_range"),
    "integer of 310 digits": (b'{"a":-' + b"7" * 310 + b"}", "number_out_of_range"),
    "key twice": (b'{"a":1,"b":{"c":1,"d":2,"c":3}}', "duplicate_key"),
    "key twice, once escaped": (b'{"a":1,"\\u0061":1}', "duplicate_key"),
    "201 brackets": (b'{"a":' + b"[" * 200 + b"]" * 200 + b"}", "too_deep"),
    "5000 brackets": (b'{"a":' + b"[" * 5_000 + b"]" * 5_000 + b"}", "too_deep"),
    "100000 brackets": (b'{"a":' + b'{"a":[' * 50_000 + b"]}" * 50_000 + b"}", "too_deep"),
}
FINE = {
    "200 brackets": b'{"a":' + b"[" * 199 + b"]" * 199 + b"}",
    "brackets in a string": b'{"a":"' + b"[{" * 5_000 + b'"}',
    "escaped quotes and brackets": b'{"a":"' + b'\\"[' * 5_000 + b'"}',
    "whole emoji escaped": b'{"a":"\\ud83d\\ude00"}',
    "hangul escaped": b'{"a":"\\ud7a3\\uD55C"}',
    "backslash before something like a surrogate": b'{"a":"\\\\ud83d"}',
    "NUL": b'{"a":"\\u0000"}',
    "large numbers": b'{"a":[18446744073709551616,1e308,-0.0,' + b"7" * 308 + b"]}",
    "NaN as text": b'{"a":"NaN"}',
    "equal keys in different objects": b'{"a":{"a":[{"a":1},{"a":2}]}}',
}


def read(tmp_path, raw, limits=None):
    path = tmp_path / "rows"
    path.write_bytes(raw)
    return list(read_records(path, limits or ReadLimits()))


@pytest.mark.parametrize("name", BAD)
def test_in_json_lines(tmp_path, name):
    raw, reason = BAD[name]
    first, bad, last = read(tmp_path, GOOD + b"\n\n" + raw + b"\r\n" + GOOD + b"\n")
    assert isinstance(first, Record)
    assert (bad.line, bad.reason) == (3, reason)
    assert (last.line, last.value) == (4, json.loads(GOOD))


@pytest.mark.parametrize("name", BAD)
def test_in_a_json_list(tmp_path, name):
    raw, reason = BAD[name]
    records = read(tmp_path, b"[" + GOOD + b",\n" + raw + b",\n" + GOOD + b"]")
    assert (records[1].line, records[1].reason) == (2, reason)
    assert [record.line for record in records if isinstance(record, Record)] == [1, 3]


@pytest.mark.parametrize("name", BAD)
def test_decoding_alone_says_the_same(name):
    raw, reason = BAD[name]
    reject = decode_record(raw)
    assert isinstance(reject, Reject)
    assert reject.reason == reason
    assert reject.detail.isprintable()
    assert len(reject.detail) <= 200
    assert 0 < len(reject.raw_prefix) <= 200
    reject.raw_prefix.encode("utf-8")


@pytest.mark.parametrize("name", FINE)
def test_what_only_looks_bad(tmp_path, name):
    raw = FINE[name]
    for packed in (raw, b"[" + raw + b"]", GOOD + b"\n" + raw):
        assert read(tmp_path, packed)[-1].value == json.loads(raw)


def test_rows_beyond_the_limit_of_bytes(tmp_path):
    limits = ReadLimits(max_line_bytes=1_000)
    fits = b'{"a":"' + b"x" * (1_000 - 8) + b'"}'
    long = b'{"a":"' + b"x" * 1_000 + b'"}'
    for pack in (b"\n".join, lambda rows: b"[" + b",\n".join(rows) + b"]"):
        records = read(tmp_path, pack([fits, long, GOOD]), limits)
        assert [isinstance(record, Record) for record in records] == [True, False, True]
        assert (records[1].line, records[1].reason) == (2, "line_too_long")
        assert "1008" in records[1].detail
        assert "1000" in records[1].detail


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b'{"a":1', "truncated_json"),
        (b'{"a":"x', "truncated_json"),
        ('{"a":"é'.encode()[:-1], "truncated_json"),
        ('{"a":"😀'.encode()[:-2], "truncated_json"),
        (b'{"a":"\xff', "invalid_utf8"),
        (b'{"a":NaN}', "non_finite_number"),
    ],
)
def test_the_last_line_of_an_unfinished_file(tmp_path, raw, reason):
    records = read(tmp_path, GOOD + b"\n" + raw)
    assert [type(record) for record in records] == [Record, Reject]
    assert (records[1].line, records[1].reason) == (2, reason)
    ended = read(tmp_path, GOOD + b"\n" + raw + b"\n")
    assert ended[1].reason != "truncated_json"


def test_a_finished_last_row_needs_no_line_end(tmp_path):
    assert read(tmp_path, GOOD + b"\n" + GOOD)[1] == Record(2, json.loads(GOOD))


def test_lines_that_are_no_objects_are_records_for_the_parser(tmp_path):
    records = read(tmp_path, b'[1]\n"x"\n7\nnull\n')
    assert [record.value for record in records] == [[1], "x", 7, None]


def test_prefix_shows_bytes_that_are_no_text(tmp_path):
    _, bad = read(tmp_path, GOOD + b'\n{"a":"\xff\xfe' + "é".encode() * 500 + b'"}\n')
    assert bad.raw_prefix.startswith('{"a":"\\xff\\xfeééé')
    assert len(bad.raw_prefix) == 200


def test_prefix_length_is_a_limit(tmp_path):
    _, bad = read(tmp_path, GOOD + b"\n" + "é".encode() * 500 + b"\n", ReadLimits(raw_prefix_chars=7))
    assert bad.raw_prefix == "é" * 7


def test_only_line_feeds_end_lines(tmp_path):
    row = '{"a":"x\u2028y\u0085z"}'.encode()
    assert [record.line for record in read(tmp_path, row + b"\n" + row)] == [1, 2]
