"""Files that nobody meant well: any bytes are lines, each counted once, and no file takes more memory than allowed."""

import gzip
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deita_assets.core.limits import MIB, ReadLimits
from deita_assets.readers import Record, byte_stream, read_records
from deita_assets.readers.lines import split_lines
from deita_assets_tests.faults.matrix import Fault
from deita_assets_tests.readers import packing

GROUP = "bytes"
BLANK = b" \t\r\v\f"
SOME = st.binary(max_size=40) | st.sampled_from(
    [b"\n", b"\r\n", b"\n\n", b" ", b'{"a":1}', b"\xff", b"\0", b"\xef\xbb\xbf"]
)
FILES = st.lists(SOME, max_size=12).map(b"".join)
TRIED = settings(
    deadline=None, max_examples=300, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip
SPLITS = Fault("1-11", "any bytes", "random bytes in chunks of random lengths", "as usual")
PACKED = Fault(
    "1-11",
    "any bytes",
    "random lines behind lines of JSON, plain, gzip and zstd, in chunks of random lengths",
    "as usual",
)
#: What makes a file JSON lines in UTF-8, whatever follows: readers go by the first 256 bytes.
BEGINNING = b'{"begins": "as lines of JSON do"}\n' * 8
#: Shorter than most lines that are tried.
SHORT = ReadLimits(max_line_bytes=16, raw_prefix_chars=2)


def naive(raw):
    """(number, line) of the lines that are not blank."""
    return [(at, line) for at, line in enumerate(raw.split(b"\n"), 1) if line.strip(BLANK)]


def test_any_splits(witness):
    seen = Counter()

    @TRIED
    @given(FILES, st.lists(st.integers(1, 30), min_size=1), st.sampled_from([ReadLimits(), SHORT]))
    def tried(raw, lengths, limits):
        chunks, at = [], 0
        while at < len(raw):
            chunks.append(raw[at : at + lengths[len(chunks) % len(lengths)]])
            at += len(chunks[-1])
        rows = list(split_lines(chunks, limits))
        expected = naive(raw)
        assert [(row.line, row.size) for row in rows] == [(number, len(line)) for number, line in expected]
        for row, (_, line) in zip(rows, expected, strict=True):
            if len(line) <= limits.max_line_bytes:
                assert row.raw == line
                continue
            assert line.startswith(row.raw[: limits.raw_prefix_chars])
            seen["lines too long cut and counted"] += 1
        seen["the lines of an independent count"] += 1

    tried()
    assert min(seen.values()) > 0, seen
    witness(SPLITS, ", ".join(sorted(seen)), times=seen["the lines of an independent count"])


def test_any_file(witness, tmp_path, monkeypatch):
    seen, path = Counter(), tmp_path / "rows"

    @TRIED
    @given(
        FILES,
        st.sampled_from([bytes, packing.gzipped, packing.gzipped_in_parts, packing.zstd]),
        st.integers(1, 64),
    )
    def tried(raw, pack, length):
        raw = BEGINNING + raw
        path.write_bytes(pack(raw))
        monkeypatch.setattr(byte_stream, "CHUNK_BYTES", length)
        rows = list(read_records(path))
        assert [row.line for row in rows] == [number for number, _ in naive(raw)]
        for row in rows:
            seen["records" if isinstance(row, Record) else "rejects"] += 1
        seen["files"] += 1

    tried()
    assert min(seen.values()) > 0, seen
    witness(PACKED, "as many records and rejects as lines", times=seen["files"])


@dataclass(frozen=True)
class Large:
    """A file that is larger than the memory that the child may take."""

    fault: Fault
    make: object
    outcome: str

    def __str__(self):
        return str(self.fault)


#: Beyond what is taken once a small file of each kind was read: two rows of 16 MiB and some chunks fit.
ROOM = 80 * MIB
CHILD = """
import gzip, json, resource, sys
from pathlib import Path
from deita_assets.errors import SourceFileError
from deita_assets.readers import Reject, read_records
room, *small, large = sys.argv[1:]
for path in small:
    list(read_records(Path(path)))
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + int(room),) * 2)
try:
    rows = [row.reason if isinstance(row, Reject) else "record" for row in read_records(Path(large))]
except SourceFileError as error:
    rows = ["SourceFileError", "times the size" in error.message]
try:
    whole = len(Path(large).read_bytes()) if Path(large).stat().st_size > int(room) else len(gzip.open(large).read())
except MemoryError:
    whole = "MemoryError"
except gzip.BadGzipFile:
    whole = None
print(json.dumps([rows, whole]))
"""


def blanks(pack):
    """256 MiB of blanks behind a row."""
    return lambda path: path.write_bytes(pack(b"{}\n" + b" " * 256 * MIB))


def long_line(path):
    """200 MB without a line end, between two rows; a hole in the file, which reads as zeros."""
    with path.open("wb") as file:
        file.write(b"{}\n")
        file.seek(200_000_000)
        file.write(b"\n{}\n")


LARGE = [
    Large(
        Fault("9", "a bomb", "gzip, 256 MiB of blanks, in a process with 80 MiB of room", "error"),
        blanks(lambda raw: gzip.compress(raw, 1)),
        "SourceFileError",
    ),
    Large(
        Fault("9", "a bomb", "zstd, 256 MiB of blanks, in a process with 80 MiB of room", "error"),
        blanks(packing.zstd),
        "SourceFileError",
    ),
    Large(
        Fault("10", "a line of 200 MB", "between two rows, in a process with 80 MiB of room", "quarantined"),
        long_line,
        "line_too_long",
    ),
]


@pytest.mark.parametrize("large", LARGE, ids=str)
def test_memory(large, tmp_path, witness):
    small = []
    for name, pack in (("plain", bytes), ("gz", packing.gzipped), ("zst", packing.zstd)):
        small.append(tmp_path / name)
        small[-1].write_bytes(pack((b'{"a": "' + b"x" * 10_000 + b'"}\n') * 300))  # 3 MB: more than a chunk
    path = tmp_path / "large"
    large.make(path)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(ROOM), *map(str, small), str(path)],
        env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows, whole = json.loads(done.stdout)
    expected = (
        ["SourceFileError", True]
        if large.outcome == "SourceFileError"
        else ["record", large.outcome, "record"]
    )
    assert rows == expected
    assert whole in ("MemoryError", None)  # the limit is one: whoever reads the file as a whole meets it
    witness(large.fault, ", ".join(f"`{row}`" for row in rows if isinstance(row, str)))
