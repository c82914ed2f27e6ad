"""The same rows in any container, compression and under any name give the same conversations."""

import pytest

from deita_assets.core.formats import RowParser
from deita_assets.readers import FileKind, Record, read_records, sniff
from deita_assets_tests.readers import packing

ROWS = [
    {
        "id": "1",
        "conversations": [{"from": "human", "value": 'q {["\'\\"]} é😀\n'}, {"from": "gpt", "value": "r"}],
    },
    {
        "id": "2",
        "system": "Be brief.",
        "conversations": [
            {"from": "human", "value": "What is 6 * 7?"},
            {"from": "function_call", "value": '{"name": "times", "arguments": {"b": 7, "a": 6}}'},
            {"from": "observation", "value": "42"},
            {"from": "gpt", "value": "It is 42."},
            {"from": "human", "value": "Thanks"},
            {"from": "gpt", "value": "\u2028 ] } \\"},
        ],
        "tools": '[{"name": "times"}]',
    },
    {
        "id": "3",
        "conversations": [{"from": "human", "value": "x" * 5_000}, {"from": "gpt", "value": "[" * 300}],
    },
]
CONTAINERS = {
    "jsonl": (packing.jsonl, "jsonl"),
    "jsonl with windows line ends": (packing.jsonl_windows, "jsonl"),
    "list": (packing.json_array, "json_array"),
    "pretty list": (packing.json_array_pretty, "json_array"),
    "flat list": (packing.json_array_flat, "json_array"),
    "objects": (packing.json_objects, "json_objects"),
    "objects on one line": (packing.json_objects_on_one_line, "json_objects"),
}
COMPRESSIONS = {
    "none": (lambda raw: raw, "none"),
    "gzip": (packing.gzipped, "gzip"),
    "gzip in parts": (packing.gzipped_in_parts, "gzip"),
    "zstd": (packing.zstd, "zstd"),
}
EXPECTED = [RowParser().parse(row) for row in ROWS]


def conversations(path):
    records = list(read_records(path))
    assert all(isinstance(record, Record) for record in records)
    return [RowParser().parse(record.value) for record in records]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.parquet", "rows.csv.gz", "rows"])
@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_content_decides_not_the_name(tmp_path, container, compression, name):
    pack, kind = CONTAINERS[container]
    compress, packed = COMPRESSIONS[compression]
    path = tmp_path / name
    path.write_bytes(compress(pack(ROWS)))
    assert sniff(path) == FileKind(kind, packed)
    assert conversations(path) == EXPECTED


@pytest.mark.parametrize("name", ["rows.parquet", "rows.jsonl"])
def test_parquet_gives_the_same_conversations(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(packing.parquet(ROWS))
    assert sniff(path) == FileKind("parquet", "none")
    assert conversations(path) == EXPECTED


@pytest.mark.parametrize("container", CONTAINERS)
def test_one_row_is_enough(tmp_path, container):
    path = tmp_path / "rows"
    path.write_bytes(CONTAINERS[container][0](ROWS[:1]))
    assert conversations(path) == EXPECTED[:1]


@pytest.mark.parametrize(
    ("container", "lines"),
    [
        ("jsonl", [1, 2, 3]),
        ("jsonl with windows line ends", [1, 3, 5]),
        ("list", [1, 1, 1]),
        ("objects on one line", [1, 1, 1]),
    ],
)
def test_lines_are_where_rows_start(tmp_path, container, lines):
    path = tmp_path / "rows"
    path.write_bytes(CONTAINERS[container][0](ROWS))
    assert [record.line for record in read_records(path)] == lines


@pytest.mark.parametrize("container", ["flat list", "pretty list", "objects"])
def test_lines_of_rows_over_several_lines(tmp_path, container):
    path = tmp_path / "rows"
    path.write_bytes(CONTAINERS[container][0](ROWS))
    text = path.read_bytes().decode().split("\n")
    starts = [text[record.line - 1 : record.line + 1] for record in read_records(path)]
    assert [[line.strip() for line in start] for start in starts] == [
        ["{", f'"id": "{n}",'] for n in (1, 2, 3)
    ]


def test_first_row_longer_than_what_is_looked_at(tmp_path):
    long = {
        "id": "0",
        "conversations": [{"from": "human", "value": "{x\n" * 60_000}, {"from": "gpt", "value": "r"}],
    }
    for pack, kind in CONTAINERS.values():
        if kind == "json_objects" and pack is packing.json_objects_on_one_line:
            continue  # without any line end, one long row looks like JSON lines
        path = tmp_path / "rows"
        path.write_bytes(pack([long, *ROWS]))
        assert sniff(path).container == kind
        assert conversations(path) == [RowParser().parse(long), *EXPECTED]
