"""Reading files tells how far it is, in bytes as they stand on disk."""

import gzip

import pyarrow as pa
import pytest

from deita_assets.engines.ingest import ingest_source
from deita_assets.readers import byte_stream
from deita_assets_tests.readers.packing import jsonl

ROWS = [{"instruction": f"ask {at}", "output": f"answer {at}"} for at in range(200)]


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("rows.jsonl", lambda text: text),
        ("rows.jsonl.gz", gzip.compress),
        ("rows.jsonl.zst", lambda text: pa.compress(text, "zstd", asbytes=True)),
    ],
)
def test_bytes_read_grow_to_all_there_are_and_only_new_files_count(
    warehouse, land, monkeypatch, name, pack
) -> None:
    monkeypatch.setattr(byte_stream, "CHUNK_BYTES", 1000)
    first = land("tea", f"a-{name}", pack(jsonl(ROWS[:150])))
    second = land("tea", f"b-{name}", pack(jsonl(ROWS[150:])))
    told: list[tuple[int, int]] = []
    ingest_source(warehouse, "tea", on_bytes=lambda read, total: told.append((read, total)))
    total = first.stat().st_size + second.stat().st_size
    assert {one[1] for one in told} == {total}
    read = [one[0] for one in told]
    assert read == sorted(read)
    assert read[-1] == total
    assert first.stat().st_size in read
    if name == "rows.jsonl":
        assert read[:2] == [1000, 2000]
    told.clear()
    ingest_source(warehouse, "tea", on_bytes=lambda read, total: told.append((read, total)))
    assert told == []
