"""No row is lost and none invented: rows read = in pool + exact duplicates + quarantined, row by row."""

import hashlib
import json
import random
from collections import Counter

import pytest

from deita_assets.core.limits import ReadLimits
from deita_assets.engines import ingest as engine
from deita_assets.engines import staging
from deita_assets.engines.ingest import SourceReading, ingest_source
from deita_assets.errors import AccountingError, NotFoundError
from deita_assets.stores import pool
from deita_assets_tests.engines.rows import (
    BAD_ROWS,
    BROKEN_LINES,
    canonical,
    content_sha256,
    good,
    lines,
    pool_version,
    rows_of,
    sample_id,
)
from deita_assets_tests.readers import packing

PACKINGS = ["lines", "gzip", "zstd", "array", "pretty", "parquet"]


def generate(rng, how):
    """One file: (its bytes, numbers of its good rows, reasons of its bad ones), rows in random order."""
    rows = [("good", rng.randrange(60)) for _ in range(rng.randrange(1, 40))]
    if how != "parquet":
        rows += [("bad", rng.randrange(len(BAD_ROWS))) for _ in range(rng.randrange(8))]
    if how in ("lines", "gzip", "zstd"):
        rows += [("broken", rng.randrange(len(BROKEN_LINES))) for _ in range(rng.randrange(8))]
    rng.shuffle(rows)
    values = {
        "good": lambda n: (good(n), None),
        "bad": BAD_ROWS.__getitem__,
        "broken": BROKEN_LINES.__getitem__,
    }
    parts = [values[kind](n) for kind, n in rows]
    objects = [value for value, _ in parts]
    content = {
        "lines": lambda: lines(*objects),
        "gzip": lambda: packing.gzipped(lines(*objects)),
        "zstd": lambda: packing.zstd(lines(*objects)),
        "array": lambda: packing.json_array(objects),
        "pretty": lambda: packing.json_array_pretty(objects),
        "parquet": lambda: packing.parquet(objects),
    }[how]()
    return content, [n for kind, n in rows if kind == "good"], [reason for _, reason in parts if reason]


def query(warehouse, text, *parameters):
    with warehouse.read("test") as con:
        return con.execute(text, list(parameters)).fetchall()


@pytest.mark.parametrize("seed", range(6))
def test_every_row_of_random_files_is_accounted_for(home, warehouse, land, monkeypatch, seed):
    # Several staged files, cut inside landed files and between them.
    monkeypatch.setattr(staging, "ROWS_PER_FILE", 7)
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    land("s", "0.jsonl", rows_of(range(30)))  # so that the format is the same whatever comes
    wanted, reasons, n_files = list(range(30)), [], 1
    for n_files, how in enumerate(rng.choices(PACKINGS, k=rng.randrange(1, 7)), 2):
        content, numbers, bad = generate(rng, how)
        land("s", f"{n_files}.jsonl", content)
        wanted += numbers
        reasons += bad
    report = ingest_source(warehouse, "s")

    assert report.n_read == len(wanted) + len(reasons)
    assert report.n_read == report.n_pool + report.n_exact_duplicates + report.n_quarantined
    assert (report.n_pool, report.n_new, report.n_withdrawn) == (len(set(wanted)), len(set(wanted)), 0)
    assert report.n_exact_duplicates == len(wanted) - len(set(wanted))
    assert report.quarantine_reasons == Counter(reasons)
    assert report.pool_version == pool_version(wanted)
    stored = query(warehouse, "select sample_id, conversations from pool order by 1")
    assert stored == sorted((sample_id("s", n), canonical(n)) for n in set(wanted))
    assert query(warehouse, "select count(*) from store.occurrence") == [(len(wanted),)]
    assert query(warehouse, "select count(*) from store.file") == [(n_files,)]
    assert query(warehouse, "select count(*), count(distinct sample_id) from store.turn") == [
        (len(set(wanted)),) * 2
    ]
    assert list(home.staging.iterdir()) == []


def test_each_row_knows_its_file_and_line(warehouse, land):
    land("s", "a.jsonl", lines(good(1), b"", BROKEN_LINES[0][0], good(2)))
    land("s", "b.jsonl", lines(good(2), BAD_ROWS[0][0]))
    ingest_source(warehouse, "s")
    assert query(warehouse, "select file, line from pool order by line") == [("a.jsonl", 1), ("a.jsonl", 4)]
    assert query(warehouse, "select file, line, reason from quarantine order by 1, 2") == [
        ("a.jsonl", 3, "malformed_json"),
        ("b.jsonl", 2, "empty_response"),
    ]
    places = query(warehouse, "select uri, line from store.occurrence where sample_id = ?", sample_id("s", 2))
    assert sorted(places) == [("a.jsonl", 4), ("b.jsonl", 1)]


def test_quarantine_does_not_repeat_the_text_of_readable_rows(warehouse, land):
    land("s", "a.jsonl", [good(1), {"instruction": "secret", "output": ""}])
    ingest_source(warehouse, "s")
    ((detail, prefix),) = query(warehouse, "select detail, raw_prefix from quarantine")
    assert "secret" not in detail + prefix
    assert json.loads(prefix) == ["instruction", "output"]


def test_own_ids_are_labels(warehouse, land):
    rows = [
        {**good(1), "id": "x"},
        {**good(2), "id": "x"},
        {**good(3), "id": 17},
        good(4),
        {**good(1), "id": "y"},
    ]
    land("s", "a.jsonl", rows)
    report = ingest_source(warehouse, "s")
    assert (report.n_pool, report.n_exact_duplicates) == (4, 1)
    labels = dict(query(warehouse, "select sample_id, own_id from pool"))
    assert labels == {sample_id("s", n): label for n, label in ((1, "x"), (2, "x"), (3, "17"), (4, None))}


def test_mapped_labels_are_read_and_not_called_ignored(warehouse, land):
    land("s", "a.jsonl", [{"ask": "q", "output": "a", "key": "k1", "tongue": "de", "extra": 1}])
    reading = SourceReading(field_map={"instruction": "ask", "id": "key", "language": "tongue"})
    ingest_source(warehouse, "s", reading)
    assert query(warehouse, "select own_id, language from pool") == [("k1", "de")]
    assert query(warehouse, "select extra_fields from store.ingest_batch") == [('["extra"]',)]


def test_the_same_conversation_in_two_sources_is_a_row_of_each(warehouse, land):
    for source in ("s", "s-2"):
        land(source, "a.jsonl", rows_of([1, 2]))
        assert ingest_source(warehouse, source).n_pool == 2
    assert query(warehouse, "select sample_id from pool order by 1") == [
        (name,) for name in sorted(sample_id(source, n) for source in ("s", "s-2") for n in (1, 2))
    ]


def test_turns_carry_what_scorers_read(warehouse, land):
    said = [("system", "be brief"), ("user", "q0"), ("user", "more"), ("assistant", "a0"), ("user", "q1")]
    row = {"messages": [{"role": role, "content": text} for role, text in said]}
    land("s", "a.jsonl", [row])
    ingest_source(warehouse, "s")
    columns = "system, instruction, response, complexity_prompt_sha256, quality_prompt_sha256"
    found = query(warehouse, f"select {columns} from store.turn order by turn")

    def sha(text):
        return hashlib.sha256(text.encode()).hexdigest()

    assert found == [
        ("be brief", "q0\n\nmore", "a0", sha('["q0\\n\\nmore"]'), sha('["q0\\n\\nmore","a0"]')),
        ("be brief", "q1", "", sha('["q1"]'), sha('["q1",""]')),
    ]
    assert query(warehouse, "select n_turns, n_messages, n_chars, has_system, has_tools from pool") == [
        (2, 5, 18, True, False)
    ]


def test_limits_of_the_reading_are_kept(warehouse, land):
    land("s", "a.jsonl", [good(1), {"instruction": "x" * 5000, "output": "y"}])
    report = ingest_source(warehouse, "s", SourceReading(limits=ReadLimits(max_line_bytes=1000)))
    assert (report.n_pool, report.quarantine_reasons) == (1, {"line_too_long": 1})


def test_a_lost_row_stops_the_ingest(warehouse, land, monkeypatch):
    land("s", "a.jsonl", rows_of(range(5)))
    ingest_source(warehouse, "s")
    land("s", "b.jsonl", rows_of(range(5, 10)))
    real = staging.Stage.flush

    def flush(stage):
        stage._rows["occurrence"][2:3] = []
        real(stage)

    monkeypatch.setattr(staging.Stage, "flush", flush)
    with pytest.raises(AccountingError, match=r"10 rows read, but 9 in pool"):
        ingest_source(warehouse, "s")
    assert query(warehouse, "select count(*), count(distinct batch_id) from pool") == [(5, 1)]
    monkeypatch.undo()
    assert ingest_source(warehouse, "s").n_pool == 10


def test_rows_taken_down_stay_out_and_are_accounted_for(warehouse, land):
    land("s", "a.jsonl", rows_of([1, 1, 2, 3]))
    ingest_source(warehouse, "s")
    with warehouse.write("take down") as con:
        con.execute("insert into store.takedown values (?, 'asked', now(), 2)", [sample_id("s", 1)])
    land("s", "b.jsonl", rows_of([1, 4]))
    report = ingest_source(warehouse, "s", SourceReading(accept_removals=True))
    assert (report.n_read, report.n_pool, report.n_exact_duplicates) == (6, 3, 2)
    assert report.pool_version == pool_version([2, 3, 4])


def test_a_source_without_any_readable_row(warehouse, land):
    land("s", "a.jsonl", lines(b"nonsense", b"[]"))
    report = ingest_source(warehouse, "s")
    assert (report.n_read, report.n_pool, report.n_quarantined, report.format) == (2, 0, 2, None)
    land("s", "b.jsonl", rows_of([1]))
    report = ingest_source(warehouse, "s")
    assert (report.n_read, report.n_pool, report.format) == (3, 1, "alpaca")


def test_nothing_landed(home, warehouse):
    with pytest.raises(NotFoundError, match="holds no file"):
        ingest_source(warehouse, "s")
    home.source_landing("s").mkdir()
    with pytest.raises(NotFoundError, match="holds no file"):
        ingest_source(warehouse, "s")
    with warehouse.read("test") as con, pytest.raises(NotFoundError, match="has no pool yet"):
        pool.pool_version(con, "s")


def test_batches_are_recorded(warehouse, land):
    land("s", "a.jsonl", [{**good(1), "rating": 5}, good(1), {"instruction": "x", "output": ""}])
    ingest_source(warehouse, "s", run_id="run-1")
    columns = "seq, format, reader, n_read, n_new, n_exact_duplicates, n_quarantined, n_withdrawn, extra_fields, run_id"
    assert query(warehouse, f"select {columns} from store.ingest_batch") == [
        (1, "alpaca", engine.READER, 3, 1, 1, 1, 0, '["rating"]', "run-1")
    ]
    assert query(warehouse, "select distinct batch_id from pool") == query(
        warehouse, "select batch_id from store.ingest_batch"
    )
    assert content_sha256(1)[:32] in query(warehouse, "select sample_id from pool")[0][0]
