"""How a source is read: its format, its field map, and files that cannot be read at all."""

import json
from dataclasses import replace

import pytest

from deita_assets.engines import ingest as engine
from deita_assets.engines.ingest import SourceReading, ingest_source
from deita_assets.engines.staging import preview
from deita_assets.errors import InvalidNameError, SourceFileError, UsageError
from deita_assets.stores import pool
from deita_assets_tests.engines.rows import BAD_ROWS, good, lines, pool_version, rows_of
from deita_assets_tests.readers import packing

SHAREGPT = [
    {"conversations": [{"from": "human", "value": f"q{n}"}, {"from": "gpt", "value": "a"}]} for n in range(4)
]
MAPPED = [{"ask": f"q{n}", "reply": f"a{n}", "other": f"o{n}"} for n in range(4)]


def known(warehouse, source="s"):
    with warehouse.read("test") as con:
        return pool.known_source(con, source)


def answers(warehouse):
    with warehouse.read("test") as con:
        return sorted(text for (text,) in con.execute("select response from turns").fetchall())


def test_the_format_is_recorded_and_holds_for_later_files(warehouse, land):
    land("s", "a.jsonl", rows_of(range(3)))
    assert ingest_source(warehouse, "s").format == "alpaca"
    assert known(warehouse) == ("alpaca", {}, None)
    land("s", "b.jsonl", SHAREGPT)
    report = ingest_source(warehouse, "s")
    assert (report.n_pool, report.quarantine_reasons) == (3, {"format_mismatch": 4})


def test_a_format_is_not_recognised_before_a_row_is(warehouse, land):
    land("s", "a.jsonl", [{"foo": 1}])
    report = ingest_source(warehouse, "s")
    assert (report.format, report.quarantine_reasons) == (None, {"unknown_format": 1})
    land("s", "b.jsonl", SHAREGPT)
    report = ingest_source(warehouse, "s")
    assert (report.format, report.n_pool, known(warehouse)[0]) == ("sharegpt", 4, "sharegpt")


def test_a_given_format_reads_everything_anew(warehouse, land):
    land("s", "a.jsonl", [*rows_of(range(3)), *SHAREGPT[:2]])
    assert ingest_source(warehouse, "s").quarantine_reasons == {"format_mismatch": 2}
    report = ingest_source(warehouse, "s", SourceReading(format="sharegpt", accept_removals=True))
    assert (report.n_pool, report.n_withdrawn, report.quarantine_reasons) == (2, 3, {"format_mismatch": 3})
    assert report.n_read == 5
    assert not ingest_source(warehouse, "s", SourceReading(format="sharegpt")).changed
    assert not ingest_source(warehouse, "s").changed


def test_a_field_map_reads_everything_anew_and_is_remembered(warehouse, land):
    land("s", "a.jsonl", MAPPED)
    assert ingest_source(warehouse, "s").n_pool == 0
    report = ingest_source(warehouse, "s", SourceReading(field_map={"instruction": "ask", "output": "reply"}))
    assert (report.n_read, report.n_pool, report.n_quarantined, report.format) == (4, 4, 0, "alpaca")
    assert answers(warehouse) == ["a0", "a1", "a2", "a3"]
    land("s", "b.jsonl", [{"ask": "q9", "reply": "a9"}])
    assert ingest_source(warehouse, "s").n_pool == 5
    other = {"instruction": "ask", "output": "other"}
    report = ingest_source(warehouse, "s", SourceReading(field_map=other, accept_removals=True))
    assert (report.n_pool, report.n_quarantined) == (4, 1)
    assert answers(warehouse) == ["o0", "o1", "o2", "o3"]
    assert not ingest_source(warehouse, "s").changed


@pytest.mark.parametrize("reading", [{"format": "messages"}, {"field_map": {"output": "answr"}}])
def test_a_reading_that_would_lose_the_source_is_refused(home, warehouse, land, reading):
    """A slip in --map must not empty the pool."""
    land("s", "a.jsonl", rows_of(range(6)))
    first = ingest_source(warehouse, "s")
    with pytest.raises(SourceFileError, match="6 of its 6 rows would be lost") as error:
        ingest_source(warehouse, "s", SourceReading(**reading))
    assert "--accept-removals" in error.value.cure
    assert known(warehouse) == ("alpaca", {}, None)
    assert ingest_source(warehouse, "s") == replace(first, changed=False, n_new=0)
    assert list(home.staging.iterdir()) == []


def test_files_read_by_older_rules_are_read_anew(warehouse, land, monkeypatch):
    land("s", "a.jsonl", rows_of(range(6)))
    first = ingest_source(warehouse, "s")
    monkeypatch.setattr(engine, "READER", "reader/next")
    second = ingest_source(warehouse, "s")
    assert (second.changed, second.seq, second.n_new, second.n_read) == (True, 2, 0, 6)
    assert second.pool_version == first.pool_version
    assert not ingest_source(warehouse, "s").changed


def test_a_field_that_no_format_has_is_refused_and_changes_nothing(home, warehouse, land):
    land("s", "a.jsonl", rows_of([1]))
    first = ingest_source(warehouse, "s")
    for reading in (SourceReading(field_map={"colour": "x"}), SourceReading(format="csv")):
        with pytest.raises(UsageError):
            ingest_source(warehouse, "s", reading)
    assert ingest_source(warehouse, "s").pool_version == first.pool_version
    assert known(warehouse) == ("alpaca", {}, None)
    assert list(home.staging.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("b.parquet", packing.parquet(rows_of([1, 2]))[:-6] + b"broken"),
        ("b.jsonl", lines(*rows_of([1, 2])).decode().encode("utf-16")),
        ("b.jsonl.gz", packing.gzipped(lines(*rows_of(range(500))))[:-40]),
        ("b.jsonl.zst", packing.zstd(lines(*rows_of(range(500))))[:-40]),
        ("b.jsonl", b""),
        ("b.pkl", b"\x80\x04\x95"),
    ],
    ids=["parquet", "utf-16", "gzip", "zstd", "empty", "pickle"],
)
def test_a_file_that_cannot_be_read_stops_the_ingest_and_leaves_the_pool(
    home, warehouse, land, name, content
):
    land("s", "a.jsonl", rows_of(range(5)))
    first = ingest_source(warehouse, "s")
    land("s", "a2.jsonl", rows_of(range(5, 8)))
    land("s", name, content)
    with pytest.raises(SourceFileError, match=name.replace(".", r"\.")):
        ingest_source(warehouse, "s")
    assert list(home.staging.iterdir()) == []
    with warehouse.read("test") as con:
        assert pool.pool_version(con, "s") == (first.pool_version, 5)
        assert pool.account(con, "s").seq == 1
    land.remove("s", name)
    assert ingest_source(warehouse, "s").n_pool == 8


@pytest.mark.parametrize(
    "source", ["../s", "a/b", "", ".", "all", "S", "s|t", "s\n", "a" * 65, "s'; drop table x; --"]
)
def test_names_that_could_lead_elsewhere_are_refused(home, warehouse, source):
    before = sorted(home.root.rglob("*"))
    with pytest.raises(InvalidNameError):
        ingest_source(warehouse, source)
    assert sorted(home.root.rglob("*")) == before


def test_preview_finds_what_the_ingest_finds(warehouse, land):
    path = land(
        "s", "a.jsonl", lines(*rows_of(range(5)), *(row for row, _ in BAD_ROWS), b"nonsense", good(1))
    )
    seen = preview([path], None, {})
    report = ingest_source(warehouse, "s")
    assert (seen.format, seen.n_read, dict(seen.reasons)) == (
        "alpaca",
        report.n_read,
        report.quarantine_reasons,
    )
    shown = [
        json.loads(conversation.canonical_json())["messages"][1]["content"]
        for conversation in seen.conversations
    ]
    assert shown == [good(n)["output"] for n in range(3)]


def test_preview_writes_nothing(home, land):
    path = land("s", "a.jsonl", rows_of([1]))
    before = sorted(home.root.rglob("*"))
    preview([path], "alpaca", {"instruction": "output", "output": "instruction"})
    assert sorted(home.root.rglob("*")) == before


def test_all_packings_of_the_same_rows_give_the_same_pool(warehouse, land):
    rows = rows_of(range(5))
    packed = {
        "a.jsonl": packing.jsonl(rows),
        "b.jsonl": packing.jsonl_windows(rows),
        "c.json": packing.json_array_pretty(rows),
        "d": packing.gzipped_in_parts(packing.json_array(rows)),
        "e.zst": packing.zstd(packing.json_objects(rows)),
        "f.parquet": packing.parquet(rows),
    }
    for name, content in packed.items():
        land("s", name, content)
    report = ingest_source(warehouse, "s")
    assert (report.n_read, report.n_pool, report.n_exact_duplicates) == (30, 5, 25)
    assert report.pool_version == pool_version(range(5))
    with warehouse.read("test") as con:
        kinds = con.execute("select uri, container, compression from store.file order by uri").fetchall()
    assert {name: compression for name, _, compression in kinds if compression != "none"} == {
        "d": "gzip",
        "e.zst": "zstd",
    }
    assert [container for _, container, _ in kinds][2::3] == ["json_array", "parquet"]
