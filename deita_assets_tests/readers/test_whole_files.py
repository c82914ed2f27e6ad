"""Troubles of whole files: each names the file and its cure, and none is taken for rows."""

import gzip
import os

import pyarrow as pa
import pytest

from deita_assets.core.limits import ReadLimits
from deita_assets.errors import SourceFileError
from deita_assets.readers import Reject, read_records, sniff
from deita_assets_tests.readers import packing

ROWS = [{"instruction": f"question {n} é", "output": "answer " * 20} for n in range(300)]
TEXT = packing.jsonl(ROWS)

BROKEN = {
    "empty": b"",
    "blank": b" \n\r\n\t \n",
    "only a byte order mark": b"\xef\xbb\xbf",
    "empty list": b"[]",
    "empty list with blanks": b"\xef\xbb\xbf [\n\n ] ",
    "utf-16 with mark": TEXT.decode().encode("utf-16"),
    "utf-16 little endian": TEXT.decode().encode("utf-16-le"),
    "utf-16 big endian": TEXT.decode().encode("utf-16-be"),
    "utf-32 with mark": TEXT.decode().encode("utf-32"),
    "utf-32 big endian": TEXT.decode().encode("utf-32-be"),
    "gzip cut": gzip.compress(TEXT)[:-20],
    "gzip cut early": gzip.compress(TEXT)[:5],
    "gzip with a broken checksum": gzip.compress(TEXT)[:-8] + b"\0\0\0\0" + gzip.compress(TEXT)[-4:],
    "gzip with broken bytes": gzip.compress(TEXT)[:40] + b"\0" * 40 + gzip.compress(TEXT)[80:],
    "gzip with text behind": gzip.compress(TEXT) + b"text",
    "gzip of nothing": gzip.compress(b""),
    "gzip twice": gzip.compress(gzip.compress(TEXT)),
    "utf-16 inside gzip": gzip.compress(TEXT.decode().encode("utf-16")),
    "zstd cut": packing.zstd(TEXT)[:-5],
    "zstd with broken bytes": packing.zstd(TEXT)[:12] + b"\xff" * 20 + packing.zstd(TEXT)[32:],
    "zstd of nothing": packing.zstd(b""),
    "parquet cut": packing.parquet(ROWS)[:-30],
    "parquet, first bytes only": b"PAR1",
    "parquet with a broken footer": packing.parquet(ROWS)[:-60] + b"\xff" * 40 + packing.parquet(ROWS)[-20:],
    "parquet without rows": packing.empty_parquet(),
    "parquet inside gzip": gzip.compress(packing.parquet(ROWS)),
    "zip": b"PK\x03\x04" + b"\0" * 40,
    "bzip2": b"BZh91AY&SY" + b"\0" * 40,
    "xz": b"\xfd7zXZ\x00\x00" + b"\0" * 40,
    "arrow": b"ARROW1\0\0" + b"\0" * 40,
    "pickle": b"\x80\x04\x95" + b"\0" * 40,
    "sqlite": b"SQLite format 3\x00" + b"\0" * 40,
    "lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n",
    "web page": b"\n<!DOCTYPE html>\n<html><body>404</body></html>\n",
    "nothing but zero bytes": b"\0" * 4096,
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_raise_with_name_and_cure(tmp_path, name):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(BROKEN[name])
    with pytest.raises(SourceFileError) as caught:
        list(read_records(path))
    assert str(path) in caught.value.message
    assert caught.value.cure
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("name", "word"),
    [("utf-16 with mark", "UTF-16LE"), ("utf-16 big endian", "UTF-16BE"), ("utf-32 big endian", "UTF-32BE"),
     ("utf-32 with mark", "UTF-32LE"), ("pickle", "pickle"), ("lfs pointer", "git lfs pull"), ("gzip twice", "twice")],
)  # fmt: skip
def test_the_trouble_is_named(tmp_path, name, word):
    path = tmp_path / "rows"
    path.write_bytes(BROKEN[name])
    with pytest.raises(SourceFileError, match=word):
        sniff(path)


def test_folders_fifos_and_missing_files(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "missing", tmp_path / "loop"):
        for look in (sniff, lambda path: list(read_records(path))):
            with pytest.raises(SourceFileError) as caught:
                look(path)
            assert str(path) in caught.value.message
            assert caught.value.cure


def test_rows_that_all_are_bad_are_rows_nevertheless(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("instruction,output\nq,r\n")
    assert [record.reason for record in read_records(path)] == ["malformed_json"] * 2
    path.write_text("[")
    (reject,) = read_records(path)
    assert isinstance(reject, Reject)
    assert reject.reason == "truncated_json"


@pytest.mark.parametrize("compress", [packing.gzipped, packing.zstd])
def test_a_bomb_is_stopped_by_ratio_and_by_size(tmp_path, compress):
    path = tmp_path / "bomb.gz"
    path.write_bytes(compress(b" " * (8 << 20)))
    with pytest.raises(SourceFileError, match="expand"):
        list(read_records(path, ReadLimits(expansion_free_bytes=1 << 20, max_expansion=100)))
    path.write_bytes(compress(TEXT * 40))
    small = ReadLimits(expansion_free_bytes=1 << 10, max_expansion=10**9, max_expanded_bytes=1 << 20)
    with pytest.raises(SourceFileError, match="expand"):
        list(read_records(path, small))
    assert len(list(read_records(path))) == 40 * len(ROWS)


def test_parquet_with_two_columns_of_one_name(tmp_path):
    path = tmp_path / "rows"
    path.write_bytes(packing.parquet_table(pa.table([["q"], ["r"]], names=["output", "output"])))
    with pytest.raises(SourceFileError, match="output"):
        list(read_records(path))
