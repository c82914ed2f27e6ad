"""Bytes and encoding: what a file may be made of."""

import gzip
import json
import re
import unicodedata

import pyarrow as pa
import pytest

from deita_assets.core.limits import MIB, ReadLimits
from deita_assets_tests.faults.input_home import (
    CANARY,
    OLD,
    Case,
    beside,
    come_in,
    good,
    one,
    published_home,
    told,
)
from deita_assets_tests.faults.matrix import Fault
from deita_assets_tests.readers import packing

GROUP = "bytes"
#: Two rows, and the same in an encoding that nobody asked for.
TWO = packing.jsonl([good(100), good(101)])


def texts_of(values):
    """A Parquet file of two columns of text, made of bytes that nobody looked at."""

    def column(name):
        raw = pa.array([value[name] for value in values], pa.binary())
        return pa.StringArray.from_buffers(len(values), raw.buffers()[1], raw.buffers()[2])

    return packing.parquet_table(pa.table({name: column(name) for name in ("instruction", "output")}))


def raw_rows(*outputs):
    return texts_of([{"instruction": f"q{n}".encode(), "output": text} for n, text in enumerate(outputs)])


def offset_told(study, report):
    (row,) = study.quarantined("s")
    assert re.search(r"offset \d+", row[3])
    return "the offset of the byte"


def whole_again(study, report):
    """The file is still being written; its last line ends later."""
    study.land("s", "b.jsonl", packing.jsonl([good(100), good(101), good(102)]))
    again = study.read("s")
    assert (again.n_quarantined, again.n_new, again.n_pool) == (0, 1, OLD + 3)
    return "none once its end was there, 3 rows new"


def kept_as_they_are(*texts):
    """Each text stands in the pool as it was given, character by character."""

    def also(study, report):
        stored = {json.loads(row)["messages"][1]["content"] for row in study.texts("s")}
        assert set(texts) <= stored
        return "texts unchanged, lengths " + ", ".join(str(len(text)) for text in texts)

    return also


def lines_told(*lines):
    def also(study, report):
        found = study.query("select line from pool where source = 's' and file = 'b.jsonl' order by 1")
        assert [line for (line,) in found] == list(lines)
        return f"at lines {', '.join(map(str, lines))}"

    return also


NUL = f"{CANARY} before\0after"
NFC, NFD = (unicodedata.normalize(form, f"{CANARY} caf\u00e9 \u00c5") for form in ("NFC", "NFD"))
SIGNS = [
    NFC,
    NFD,
    f"{CANARY} zero\u200bwidth\ufeff",
    f"{CANARY} \u202egnp.exe\u202c",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 " + CANARY,
]
assert NFC != NFD
CUT = TWO + b'{"instruction": "' + CANARY.encode() + b' question", "out'
BOMB = ReadLimits(expansion_free_bytes=MIB, max_expansion=100)
#: Its ratio is that of honest text.
LARGE = ReadLimits(expansion_free_bytes=MIB, max_expansion=10**9, max_expanded_bytes=2 * MIB)


def long_line():
    return beside(b'{"instruction": "' + b"x" * (17 * MIB) + b'", "output": "y"}')


CASES = [
    Case(
        Fault("1", "a byte that is not UTF-8", "one line with 0xff in a text, JSON lines", "quarantined"),
        one(beside(b'{"instruction": "\xff", "output": "r"}')),
        {"invalid_utf8": 1},
        also=offset_told,
    ),
    Case(
        Fault("1", "a byte that is not UTF-8", "one text with 0xff, Parquet", "quarantined"),
        one(lambda: raw_rows(b"good", b"\xff", b"fine"), "b.parquet"),
        {"invalid_utf8": 1},
    ),
    Case(
        Fault("2", "a byte order mark", "UTF-8 with its mark, JSON lines", "as usual"),
        one(b"\xef\xbb\xbf" + TWO),
        also=lines_told(1, 2),
    ),
    Case(
        Fault("2", "a byte order mark", "UTF-8 with its mark, a JSON list in gzip", "as usual"),
        one(lambda: gzip.compress(b"\xef\xbb\xbf" + packing.json_array([good(100), good(101)]))),
    ),
    *(
        Case(
            Fault("3", f"a file in {name}", f"JSON lines in {name}, {mark}", "error"),
            one(TWO.decode().encode(codec)),
            error=f"is in {name}[LB]E, expected UTF-8",
        )
        for name, codec, mark in (
            ("UTF-16", "utf-16", "with its mark"),
            ("UTF-16", "utf-16-be", "without a mark"),
            ("UTF-32", "utf-32-le", "without a mark"),
        )
    ),
    Case(
        Fault("4", "half of a surrogate pair", r"\ud800 in a text, JSON lines", "quarantined"),
        one(beside(rb'{"instruction": "q \ud800", "output": "r"}')),
        {"lone_surrogate": 1},
    ),
    Case(
        Fault("4", "half of a surrogate pair", "its three bytes in a text, Parquet", "quarantined"),
        one(lambda: raw_rows(b"good", b"\xed\xa0\x80", b"fine"), "b.parquet"),
        {"invalid_utf8": 1},
    ),
    *(
        Case(
            Fault("5", "a NUL inside a text", how, "as usual"),
            one(lambda pack=pack: pack([good(100), {"instruction": "q", "output": NUL}]), name),
            also=kept_as_they_are(NUL),
        )
        for how, pack, name in (
            ("JSON lines", packing.jsonl, "b.jsonl"),
            ("Parquet", packing.parquet, "b.parquet"),
        )
    ),
    Case(
        Fault("6", "line ends", "CRLF, blank lines, and none at the end of the file", "as usual"),
        one(b"\r\n\n" + TWO.rstrip().replace(b"\n", b"\r\n \t\r\n\r\n")),
        also=lines_told(3, 6),
    ),
    Case(
        Fault("7", "a file still being written", "its last line is cut, and whole later", "quarantined"),
        one(CUT),
        {"truncated_json": 1},
        also=whole_again,
    ),
    *(
        Case(
            Fault("8", "a file without rows", how, "error"),
            lambda content=content, name=name: {name: content},
            error=r"is empty|holds no rows|holds nothing",
        )
        for how, content, name in (
            ("no byte", b"", "b.jsonl"),
            ("blank lines", b"\n \r\n\t\n", "b.jsonl"),
            ("an empty JSON list", b"[]", "b.json"),
            ("gzip of nothing", gzip.compress(b""), "b.jsonl.gz"),
            ("Parquet without rows", packing.empty_parquet(), "b.parquet"),
        )
    ),
    Case(
        Fault("8", "a file without rows", "in the place of the only file of a source", "error"),
        lambda: {"a.jsonl": b""},
        error="is empty",
    ),
    *(
        Case(
            Fault("9", "a bomb", f"{name}: {what}", "error"),
            one(lambda pack=pack, content=content: pack(content()), f"b.jsonl.{name}"),
            error=wanted,
            limits=limits,
        )
        for name, pack in (("gz", packing.gzipped), ("zst", packing.zstd))
        for what, content, limits, wanted in (
            ("8 MiB of blanks in a few KB", lambda: b" " * (8 * MIB), BOMB, "100 times the size"),
            ("rows beyond the size allowed", lambda: TWO * 20_000, LARGE, "and 2097152 bytes"),
        )
    ),
    Case(
        Fault("10", "a line of 17 MiB", "between two rows, JSON lines", "quarantined"),
        one(long_line),
        {"line_too_long": 1},
        also=lines_told(1, 3),
    ),
    Case(
        Fault("10", "a line of 17 MiB", "a text of one row, Parquet", "quarantined"),
        one(lambda: packing.parquet([good(100), {"instruction": "x" * 17 * MIB, "output": "y"}, good(101)])),
        {"line_too_long": 1},
    ),
    Case(
        Fault("11", "signs that look alike", "composed and not, zero width, right to left, emoji", "as usual"),
        one(lambda: packing.jsonl([{"instruction": "q", "output": text} for text in SIGNS])),
        gained=len(SIGNS),
        also=kept_as_they_are(*SIGNS),
    ),
]  # fmt: skip


@pytest.fixture
def study(tmp_path, tmp_path_factory, migrated):
    return published_home(tmp_path, tmp_path_factory, migrated)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_bytes(case, study, witness, caplog, capsys):
    seen, report = come_in(case, study, caplog, capsys)
    if case.error:
        assert re.search(case.error, seen.message(study.home))
        assert seen.error.cure
        # How far zlib and zstd press a file depends on their versions.
        witness(case.fault, re.sub(r"\d+ bytes expand", "its bytes expand", seen.message(study.home)))
        return
    more = case.also(study, report) if case.also else ""
    witness(case.fault, told(report, more))
