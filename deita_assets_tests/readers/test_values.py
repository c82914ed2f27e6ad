"""Splitting a JSON list: equal to a whole parse for good lists, and one row lost for one row broken."""

import json
import tracemalloc

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deita_assets.core.limits import ReadLimits
from deita_assets.readers import Record, read_records
from deita_assets.readers.lines import split_lines
from deita_assets.readers.values import ValueSplitter

STRUCTURAL = st.text(alphabet=st.sampled_from('"\\[]{},: \n\tabé😀\u2028'), max_size=12)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | STRUCTURAL
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRUCTURAL, inner, max_size=4),
    max_leaves=10,
)
STYLES = st.fixed_dictionaries(
    {
        "indent": st.sampled_from([None, None, 0, 1, 4, "\t"]),
        "ensure_ascii": st.booleans(),
        "separators": st.sampled_from([None, (",", ":"), (" ,\n ", "\r\n: ")]),
    }
)


def in_chunks(raw, sizes):
    """`raw` cut into chunks of the given sizes, again and again."""
    chunks, start, turn = [], 0, 0
    while start < len(raw):
        chunks.append(raw[start : start + sizes[turn % len(sizes)]])
        start += sizes[turn % len(sizes)]
        turn += 1
    return chunks


def elements_and_lines(text):
    """The elements of a list by Python's parser, each with its line."""
    decoder, found = json.JSONDecoder(), []
    position = text.index("[") + 1
    while True:
        while text[position] in " \t\r\n,":
            position += 1
        if text[position] == "]":
            return found
        value, end = decoder.raw_decode(text, position)
        found.append((text.count("\n", 0, position) + 1, value))
        position = end


def splitting(*, array):
    return lambda chunks, limits: ValueSplitter(chunks, limits, array=array)


SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=4)


@given(st.lists(JSON, max_size=6), STYLES, SIZES)
@settings(deadline=None, max_examples=250)
def test_elements_equal_those_of_a_whole_parse(values, style, sizes):
    text = json.dumps(values, **style)
    splitter = ValueSplitter(in_chunks(text.encode(), sizes), ReadLimits(), array=True)
    rows = list(splitter)
    assert [(row.line, json.loads(row.raw)) for row in rows] == elements_and_lines(text)
    assert all(row.ended and row.size >= len(row.raw) for row in rows)
    assert not splitter.unclosed


@given(st.lists(st.dictionaries(STRUCTURAL, JSON, max_size=4), max_size=6), STYLES, SIZES)
@settings(deadline=None, max_examples=200)
def test_objects_one_after_another(values, style, sizes):
    raw = "\n".join(json.dumps(value, **style) for value in values).encode()
    rows = list(ValueSplitter(in_chunks(raw, sizes), ReadLimits(), array=False))
    assert [json.loads(row.raw) for row in rows] == values


ROWS = st.lists(st.tuples(STRUCTURAL, st.lists(STRUCTURAL, max_size=2)), min_size=2, max_size=6)


@given(ROWS, st.sampled_from([None, 0, 2]), st.data())
@settings(deadline=None, max_examples=250)
def test_one_character_lost_costs_one_row(tmp_path_factory, texts, indent, data):
    """Any character of any row but the first: quotes, brackets, escapes. All other rows are still read."""
    rows = [
        {"row": n, "text": text, "more": [{"value": m} for m in more]} for n, (text, more) in enumerate(texts)
    ]
    broken = data.draw(st.integers(1, len(rows) - 1), label="broken row")
    written = [json.dumps(row, indent=indent) for row in rows]
    place = data.draw(st.integers(0, len(written[broken]) - 1), label="lost character")
    written[broken] = written[broken][:place] + written[broken][place + 1 :]
    path = tmp_path_factory.mktemp("broken") / "rows.json"
    path.write_bytes(("[" + ",\n".join(written) + "]").encode())
    values = [record.value for record in read_records(path) if isinstance(record, Record)]
    others = [row for number, row in enumerate(rows) if number != broken]
    assert [value for value in values if value in others] == others
    assert len(values) <= len(rows)
    rejected = sum(1 for record in read_records(path) if not isinstance(record, Record))
    assert rejected + len(values) >= len(rows)


@given(ROWS, st.sampled_from([None, 2]), st.data())
@settings(deadline=None, max_examples=200)
def test_a_list_that_is_cut_says_so(tmp_path_factory, texts, indent, data):
    rows = [{"row": number, "text": text} for number, (text, _) in enumerate(texts)]
    raw = json.dumps(rows, indent=indent).encode()
    cut = data.draw(st.integers(1, len(raw) - 1), label="cut")
    assume(raw[:cut].strip() != b"[")
    path = tmp_path_factory.mktemp("cut") / "rows.json"
    path.write_bytes(raw[:cut])
    *whole, last = read_records(path)
    assert last.reason == "truncated_json"
    assert [record.value for record in whole] == rows[: len(whole)]
    assert json.dumps(rows[: len(whole)], indent=indent).rstrip("\n ]").encode() in raw[:cut] + b"["


RECOVERED = {
    "brace not closed": ('[{"a":1},{"a":2,{"a":3},{"a":4}]', [1, 3, 4]),
    "list not closed": ('[{"a":1},{"a":2,"b":[2},{"a":3},{"a":4}]', [1, 3, 4]),
    "list and brace not closed": ('[{"a":1},{"a":2,"b":[{"c":1},{"a":3},{"a":4}]', [1, 3, 4]),
    "string not closed": ('[{"a":1},{"a":2,"b":"x},{"a":3,"b":"], {} y"},{"a":4}]', [1, 3, 4]),
    "string with a line end": ('[{"a":1},\n{"a":2,"b":"x\ny"},\n{"a":3},{"a":4}]', [1, 3, 4]),
    "closers too many": ('[{"a":1},{"a":2}}, {"a":3]},{"a":4}]', [1, 4]),
    "list closed too early": ('[{"a":1},{"a":2}],{"a":3},{"a":4}]', [1, 2, 3, 4]),
    "comma forgotten": ('[{"a":1}\n{"a":2} {"a":3},{"a":4}]', [1, 2, 3, 4]),
    "commas too many": ('[{"a":1},,{"a":2},{"a":3},{"a":4},]', [1, 2, 3, 4]),
    "blanks around what looks like the end": (
        '[{"a":1},\n{a":2,"b":"}"},\n{"a":" ]"},{"a":4}]',
        [1, " ]", 4],
    ),
    "other quotes": ('[{\'a\':1},{"a":2},{"a":3},{"a":4}]', [2, 3, 4]),
    "two lists": ('[\n{"a":1},{"a":2}]\n[{"a":3},{"a":4}]', [1, 2, 3, 4]),
    "text after the list": ('[\n{"a":1},{"a":2}]\nthe end', [1, 2]),
    "objects: brace not closed": ('{\n"a":1}\n{"a":2\n{"a":3}{"a":4}', [1, 3, 4]),
    "objects: text between": ('{\n"a":1}\nthe end\n{"a":3} 7 {"a":4}', [1, 3, 4]),
}


@pytest.mark.parametrize("name", RECOVERED)
def test_rows_after_a_broken_one_are_read(tmp_path, name):
    text, expected = RECOVERED[name]
    path = tmp_path / "rows.json"
    path.write_text(text)
    records = list(read_records(path))
    values = [record.value for record in records if isinstance(record, Record)]
    assert [value["a"] for value in values if isinstance(value, dict)] == expected
    assert len(records) > len(expected) or len(expected) == 4


MEBIBYTE = 1 << 20


@pytest.mark.parametrize(
    ("split", "before", "filling", "n_chunks", "after"),
    [
        (split_lines, b'{"a":1}\n{"a":"', b"x", 100, b'"}\n{"a":3}\n'),
        (splitting(array=True), b'[{"a":1},\n{"a":"', b"x", 100, b'"},\n{"a":3}]'),
        (splitting(array=False), b'{"a":1}\n{"a":"', b"x", 100, b'"}\n{"a":3}'),
        (splitting(array=True), b'[{"a":1},\n{"a":[', b" ", 100, b']},\n{"a":3}]'),
        (splitting(array=True), b'[{"a":1},\n{"a":[[' + b"],[" * 50_000, b" ", 1, b']]},\n{"a":3}]'),
    ],
)
def test_a_row_beyond_the_limit_is_passed_over_without_holding_it(split, before, filling, n_chunks, after):
    limits = ReadLimits(max_line_bytes=MEBIBYTE // 2)
    chunk = filling * (MEBIBYTE // len(filling))
    tracemalloc.start()
    first, long, last = split(iter((before, *([chunk] * n_chunks), after)), limits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * MEBIBYTE
    assert [row.line for row in (first, long, last)] == [1, 2, 3]
    assert json.loads(last.raw) == {"a": 3}
    assert long.size > n_chunks * len(chunk)
    assert long.raw.startswith(b'{"a":')
    assert len(long.raw) < 1_000


def test_nothing_but_brackets_takes_little_memory():
    limits = ReadLimits(max_line_bytes=MEBIBYTE // 64)
    tracemalloc.start()
    (row,) = splitting(array=True)(iter([b"[" * (MEBIBYTE // 16)]), limits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEBIBYTE // 2
    assert row.size > limits.max_line_bytes
    assert not row.ended
