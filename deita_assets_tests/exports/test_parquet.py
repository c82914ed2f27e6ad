import json

import pyarrow.parquet as pq

from deita_assets.exports import parquet
from deita_assets.exports.parquet import SCHEMA, write_parquet

CALL = {"type": "function", "function": {"name": "f", "arguments": {"x": [1, "ü", None]}}}


def row(position, conversation):
    return {
        "position": position, "sample_id": f"s:{position}", "source": "s", "rank": position * 2, "n_turns": 1,
        "evol_score": 1 / 3, "complexity": None, "quality": 2.0, "conversation": conversation,
    }  # fmt: skip


def chat(text, **more):
    return {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "a"}], **more}


def test_rows_come_back_as_they_were(tmp_path):
    messages = [
        {"role": "user", "content": "\u2028\0 ü"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "content": "", "tool_call_id": "c", "name": "f"},
    ]
    rows = [row(1, {"messages": messages, "tools": [CALL]}), row(2, chat("q"))]
    assert write_parquet(tmp_path / "x.parquet", rows) == 2
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.schema == SCHEMA
    first, second = table.to_pylist()
    assert [[m["content"] for m in found["messages"]] for found in (first, second)] == [
        ["\u2028\0 ü", None, ""], ["q", "a"],
    ]  # fmt: skip
    assert json.loads(first["messages"][1]["tool_calls"]) == [CALL]
    assert (first["messages"][2]["tool_call_id"], first["messages"][2]["name"]) == ("c", "f")
    assert first["messages"][0]["tool_calls"] is None
    assert (json.loads(first["tools"]), second["tools"]) == ([CALL], None)
    for written, found in zip(rows, (first, second), strict=True):
        assert {key: found[key] for key in written if key != "conversation"} == {
            key: written[key] for key in written if key != "conversation"
        }


def test_rows_are_written_in_groups_and_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_ROWS_PER_GROUP", 10)
    assert write_parquet(tmp_path / "x.parquet", (row(n, chat(f"q{n}")) for n in range(25))) == 25
    file = pq.ParquetFile(tmp_path / "x.parquet")
    assert file.num_row_groups == 3
    assert file.read()["position"].to_pylist() == list(range(25))


def test_no_rows_make_a_readable_file(tmp_path):
    assert write_parquet(tmp_path / "x.parquet", []) == 0
    assert pq.read_table(tmp_path / "x.parquet").schema == SCHEMA
