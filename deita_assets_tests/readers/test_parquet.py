"""Parquet: plain values, nulls, long and unreadable rows, any size of row groups."""

import datetime as dt

import pyarrow as pa
import pytest

from deita_assets.core.formats import parse_conversation
from deita_assets.core.limits import ReadLimits
from deita_assets.readers import Record, Reject, read_records
from deita_assets_tests.readers import packing


def read(tmp_path, table, limits=None, **options):
    path = tmp_path / "rows.parquet"
    path.write_bytes(packing.parquet_table(table, **options))
    return list(read_records(path, limits or ReadLimits()))


def test_null_fields_of_structs_are_left_out_and_null_columns_stay(tmp_path):
    rows = [
        {"messages": [{"role": "user", "content": "q", "name": None}], "system": None},
        {"messages": [{"role": "tool", "content": None, "name": "f"}, None], "system": "s"},
        {"messages": None, "system": ""},
    ]
    assert [record.value for record in read(tmp_path, pa.Table.from_pylist(rows))] == [
        {"messages": [{"role": "user", "content": "q"}], "system": None},
        {"messages": [{"role": "tool", "name": "f"}, None], "system": "s"},
        {"messages": None, "system": ""},
    ]


def test_tool_calls_survive_the_one_schema_of_a_table(tmp_path):
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    row = {
        "messages": [
            {"role": "user", "content": "q"},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "content": "42", "tool_call_id": "1"},
            {"role": "assistant", "content": "r"},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}],
    }
    (record,) = read(tmp_path, pa.Table.from_pylist([row]))
    assert parse_conversation(record.value) == parse_conversation(row)


def test_history_as_lists_of_lists(tmp_path):
    row = {"instruction": "q", "output": "r", "history": [["a", "b"], ["c", "d"]]}
    (record,) = read(tmp_path, pa.Table.from_pylist([row]))
    assert parse_conversation(record.value) == parse_conversation(row)


@pytest.mark.parametrize("row_group_size", [1, 7, 1_000, 100_000])
def test_rows_are_numbered_across_row_groups(tmp_path, row_group_size):
    table = pa.table({"n": list(range(2_500))})
    records = read(tmp_path, table, row_group_size=row_group_size)
    assert [record.line for record in records] == list(range(1, 2_501))
    assert [record.value["n"] for record in records] == list(range(2_500))


def test_a_text_that_is_no_utf8_costs_its_row(tmp_path):
    raw = pa.array([b"q", b"\xff", b"\xed\xa0\x80", "é".encode()], pa.binary())
    text = pa.StringArray.from_buffers(4, raw.buffers()[1], raw.buffers()[2])
    records = read(tmp_path, pa.table({"output": text}))
    assert [record.reason if isinstance(record, Reject) else record.value["output"] for record in records] == [
        "q", "invalid_utf8", "invalid_utf8", "é",
    ]  # fmt: skip


def test_a_cell_without_plain_value_costs_its_row(tmp_path):
    table = pa.table({"at": pa.array([0, 2**62, 1], pa.timestamp("us")), "n": [1, 2, 3]})
    first, bad, last = read(tmp_path, table)
    assert first.value == {"at": dt.datetime(1970, 1, 1), "n": 1}
    assert (bad.line, bad.reason) == (2, "unreadable_value")
    assert last.value["n"] == 3


def test_maps_become_objects(tmp_path):
    maps = pa.array([[("a", 1)], [("a", 1), ("a", 2)]], pa.map_(pa.string(), pa.int64()))
    first, second = read(tmp_path, pa.table({"meta": maps}))
    assert first.value == {"meta": {"a": 1}}
    assert second.reason == "unreadable_value"


def test_rows_beyond_the_limit_of_bytes(tmp_path):
    table = pa.table({"output": ["x", "y" * 5_000, "z"]})
    first, bad, last = read(tmp_path, table, ReadLimits(max_line_bytes=1_000))
    assert (first.value, last.value) == ({"output": "x"}, {"output": "z"})
    assert (bad.line, bad.reason) == (2, "line_too_long")


def test_bytes_dates_and_missing_floats_are_no_trouble_beside_the_text(tmp_path):
    table = pa.table(
        {
            "instruction": ["q"],
            "output": ["r"],
            "image": pa.array([b"\xff\xd8"], pa.binary()),
            "on": pa.array([dt.date(2024, 2, 29)]),
            "score": pa.array([float("nan")]),
            "kind": pa.array(["x"]).dictionary_encode(),
        }
    )
    (record,) = read(tmp_path, table)
    assert isinstance(record, Record)
    assert parse_conversation(record.value).turns()[0].response == "r"


def json_column(texts):
    return pa.ExtensionArray.from_storage(pa.json_(), pa.array(texts, pa.string()))


def test_json_inside_a_table_is_decoded_with_its_own_nulls(tmp_path):
    messages = pa.ListArray.from_arrays([0, 2, 3], json_column(['{"role": "user", "name": null}', "[]", "7"]))
    calls = pa.StructArray.from_arrays(
        [pa.array(["assistant", None]), json_column([None, '[{"x": null}]'])], names=["role", "calls"]
    )
    table = pa.table({"messages": messages, "last": calls, "tools": json_column(["null", None])})
    assert [record.value for record in read(tmp_path, table)] == [
        {"messages": [{"role": "user", "name": None}, []], "last": {"role": "assistant"}, "tools": None},
        {"messages": [7], "last": {"calls": [{"x": None}]}, "tools": None},
    ]


def test_json_of_other_writers_is_known_by_the_files_own_schema(tmp_path):
    table = pa.table({"tools": json_column(['[{"type": "function"}]'])})
    (record,) = read(tmp_path, table, store_schema=False)
    assert record.value == {"tools": [{"type": "function"}]}


def test_text_that_looks_like_json_stays_text(tmp_path):
    (record,) = read(tmp_path, pa.table({"content": ['{"a": 1}']}))
    assert record.value == {"content": '{"a": 1}'}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("not json", "malformed_json"),
        ("", "malformed_json"),
        ('{"a": NaN}', "non_finite_number"),
        ('{"a": 1, "a": 2}', "duplicate_key"),
        ('"\\ud83d"', "lone_surrogate"),
    ],
)
def test_json_that_no_store_can_hold_costs_its_row(tmp_path, text, reason):
    first, bad, last = read(tmp_path, pa.table({"tools": json_column(["1", text, "2"])}))
    assert (first.value, last.value) == ({"tools": 1}, {"tools": 2})
    assert (bad.line, bad.reason) == (2, reason)


@pytest.mark.parametrize("nested", [True, False])
def test_json_counts_into_the_depth_of_its_row(tmp_path, nested):
    def found(depth):
        column = json_column(["[" * depth + "]" * depth])
        column = pa.ListArray.from_arrays([0, 1], column) if nested else column
        (one,) = read(tmp_path, pa.table({"x": column}), ReadLimits(max_depth=10))
        return getattr(one, "reason", None)

    around = 2 if nested else 1  # the row itself, and the list
    assert found(10 - around) is None
    assert found(11 - around) == "too_deep"
