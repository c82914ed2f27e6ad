"""Much at once: a million rows of which one in a hundred is bad, and a file larger than the memory.

    pytest deita_assets_tests/faults/test_load.py -s                    # small: a minute
    FAULTS_LOAD=full pytest deita_assets_tests/faults/test_load.py -s   # a million rows, 2 GB: 5 GB of disk

The figures are printed; what the record gets is what does not depend on the machine.
"""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass

import pytest

from deita_assets.core.limits import MIB
from deita_assets.stores.home import Home
from deita_assets_tests.faults.invariant import Look, holds
from deita_assets_tests.faults.matrix import Fault

GROUP = "load"
FULL = os.environ.get("FAULTS_LOAD") == "full"
#: Bytes that the process of an ingest may have resident at once, whatever it reads.
MEMORY = 1024 * MIB
CHILD = """
import json, sys, time
from pathlib import Path
from deita_assets.engines.ingest import ingest_source
from deita_assets.stores.home import Home
from deita_assets.stores.warehouse import Warehouse
began = time.monotonic()
report = ingest_source(Warehouse(Home.at(sys.argv[1])), "load")
seconds = time.monotonic() - began
# Not ru_maxrss, which on Linux begins with what the process of the tests has had.
status = Path("/proc/self/status").read_text()
print(json.dumps({
    "read": report.n_read, "pool": report.n_pool, "duplicates": report.n_exact_duplicates,
    "quarantine": dict(report.quarantine_reasons), "seconds": seconds,
    "peak": int(status.partition("VmHWM:")[2].split()[0]) * 1024,
}))
"""
#: A line of each kind that is bad, and why.
BAD = [
    (b'{"instruction": "cut off', "malformed_json"),
    (b'{"instruction": "\xff", "output": "r"}', "invalid_utf8"),
    (b'{"instruction": "q", "output": " "}', "empty_response"),
    (b'{"instruction": "q", "answer": "r"}', "missing_field"),
]


@dataclass(frozen=True)
class Load:
    """A file of JSON lines.

    Attributes:
        rows: lines.
        length: characters of an answer.
        bad: one line in so many is bad; 0 for none.
        twice: one line in so many repeats an earlier one; 0 for none.
        memory: bytes that the process of the ingest may have resident at once; None where DuckDB decides, which holds
            long rows whole while it commits them.
    """

    fault: Fault
    rows: int
    length: int
    bad: int = 0
    twice: int = 0
    memory: int | None = MEMORY

    def __str__(self):
        return str(self.fault)

    def write(self, path):
        """The file, and what must become of it: (in the pool, exact duplicates, reasons)."""
        rng = random.Random(1)  # noqa: S311 - reproducible, not secret
        words = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz     ", k=1 << 20))
        pool, duplicates, reasons, last = 0, 0, Counter(), b""
        with path.open("wb") as file:
            for n in range(self.rows):
                if self.bad and n % self.bad == 7:
                    line, reason = BAD[n // self.bad % len(BAD)]
                    reasons[reason] += 1
                else:
                    again = bool(self.twice) and n % self.twice == 11
                    place = rng.randrange(len(words) - self.length)
                    row = {"instruction": f"question {n}", "output": words[place : place + self.length]}
                    line = file_line(row) if not again else last
                    last = line
                    pool, duplicates = pool + (not again), duplicates + again
                file.write(line + b"\n")
        return pool, duplicates, dict(reasons)


def file_line(row):
    return json.dumps(row).encode()


LOADS = [
    Load(
        Fault("L1", "one row of 100 is bad", "1,000,000 rows of a source, 40,000 in the short run", "quarantined"),
        1_000_000 if FULL else 40_000, 400, bad=100, twice=50,
    ),
    Load(
        Fault("L2", "a file larger than the memory", "2 GB of rows of 2 KB, 100 MB in the short run", "as usual"),
        1_000_000 if FULL else 50_000, 2_000,
    ),
    Load(
        Fault("L3", "rows of 1 MB", "500 of them, 50 in the short run", "as usual"),
        500 if FULL else 50, 1_000_000, memory=None,
    ),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("load", LOADS, ids=str)
def test_load(load, tmp_path, witness):
    home = Home(tmp_path / "home").create()
    file = home.source_landing("load") / "a.jsonl"
    file.parent.mkdir()
    pool, duplicates, reasons = load.write(file)
    size, before = file.stat().st_size, Look.at(home)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(home.root)],
        capture_output=True,
        text=True,
        check=False,
        timeout=3_600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1, done.stdout[:2000]
    seen = json.loads(done.stdout)
    after = Look.at(home)
    holds(before, after, succeeded=True)
    assert (seen["read"], seen["pool"], seen["duplicates"]) == (load.rows, pool, duplicates)
    assert seen["quarantine"] == reasons
    account = after.accounts["load"]
    assert (account.read, account.pool, account.quarantined) == (load.rows, pool, sum(reasons.values()))
    print(  # noqa: T201 - the figures of the run
        f"\n{load}: {load.rows:,} rows, {size / 1e6:,.0f} MB in {seen['seconds']:.1f} s, "
        f"{load.rows / seen['seconds']:,.0f} rows/s, {size / 1e6 / seen['seconds']:.1f} MB/s, "
        f"peak {seen['peak'] / MIB:,.0f} MiB, warehouse {home.warehouse.stat().st_size / 1e6:,.0f} MB"
    )
    assert load.memory is None or seen["peak"] < load.memory
    told = ["every row accounted for", *(["within 1 GiB of memory"] if load.memory else []), *sorted(reasons)]
    witness(load.fault, ", ".join(told))
