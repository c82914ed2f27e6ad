"""Exclusion sets may hold questions alone; whether a source may is part of how its files were read."""

import pytest

from deita_assets.engines.ingest import SourceReading, ingest_source
from deita_assets.engines.staging import preview
from deita_assets.errors import SourceFileError
from deita_assets_tests.engines.rows import rows_of

BENCH = [{"question_id": n, "turns": [f"first {n}", f"then {n}"], "category": "x"} for n in range(5)]
WELCOME = SourceReading(answers_required=False)


def turns(warehouse):
    with warehouse.read("test") as con:
        return con.execute("select instruction, response from turns order by 1").fetchall()


def test_questions_come_into_the_pool_as_turns(warehouse, land):
    path = land("bench", "q.jsonl", BENCH)
    report = ingest_source(warehouse, "bench", WELCOME)
    assert (report.format, report.n_read, report.n_pool, report.n_quarantined) == ("questions", 5, 5, 0)
    expected = sorted((f"{word} {n}", "") for word in ("first", "then") for n in range(5))
    assert turns(warehouse) == expected
    assert not ingest_source(warehouse, "bench", WELCOME).changed
    land("bench", "more.jsonl", [{"turns": ["later"]}])
    assert ingest_source(warehouse, "bench", WELCOME).n_pool == 6
    seen = preview([path], None, {}, answers_required=False)
    assert (seen.format, sum(seen.reasons.values())) == ("questions", 0)
    assert sum(preview([path], None, {}).reasons.values()) == 5


def test_naming_a_source_as_an_exclusion_set_reads_it_anew(warehouse, land):
    land("bench", "q.jsonl", BENCH)
    first = ingest_source(warehouse, "bench")
    assert (first.n_pool, first.n_quarantined) == (0, 5)
    second = ingest_source(warehouse, "bench", WELCOME)
    assert (second.changed, second.n_pool, second.n_quarantined, second.format) == (True, 5, 0, "questions")
    assert second.pool_version != first.pool_version


def test_the_way_back_is_asked_about_and_then_gone(warehouse, land):
    land("bench", "q.jsonl", BENCH)
    first = ingest_source(warehouse, "bench", WELCOME)
    with pytest.raises(
        SourceFileError, match="'bench' is no exclusion set any more, and 5 of its 5"
    ) as error:
        ingest_source(warehouse, "bench")
    assert "exclusion_sets" in error.value.cure
    assert ingest_source(warehouse, "bench", WELCOME).pool_version == first.pool_version
    gone = ingest_source(warehouse, "bench", SourceReading(accept_removals=True))
    assert (gone.n_pool, gone.n_quarantined) == (0, 5)
    assert not ingest_source(warehouse, "bench").changed


def test_rows_with_answers_are_the_same_either_way(warehouse, land):
    land("s", "a.jsonl", rows_of(range(4)))
    first = ingest_source(warehouse, "s")
    second = ingest_source(warehouse, "s", WELCOME)
    assert (second.changed, second.pool_version) == (True, first.pool_version)
    assert not ingest_source(warehouse, "s", WELCOME).changed
    assert ingest_source(warehouse, "s").pool_version == first.pool_version
