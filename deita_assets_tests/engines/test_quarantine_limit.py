"""How many malformed rows an ingest may bring, where that is set, and whom the setting makes stale."""

import json

import pytest

from deita_assets.core.fingerprint import short_digest
from deita_assets.core.quarantine_limit import QuarantineLimit, malformed_only
from deita_assets.defs.automation.staleness import CODE_VERSIONS, Staleness
from deita_assets.engines import ingest
from deita_assets.engines.ingest import SourceReading, ingest_source
from deita_assets.engines.landing import landing_state
from deita_assets.errors import QuarantineLimitError, SettingsError
from deita_assets.settings import DeitaSettings, load_settings
from deita_assets.stores.refused import refused_rows, refused_sources
from deita_assets_tests.engines.rows import good, lines, rows_of


@pytest.mark.parametrize(
    ("malformed", "read", "limit", "exceeded"),
    [
        (49, 49, QuarantineLimit(), False),
        (50, 50, QuarantineLimit(), True),
        (50, 999, QuarantineLimit(), True),
        (50, 1000, QuarantineLimit(), False),
        (51, 1000, QuarantineLimit(), True),
        (1, 1000, QuarantineLimit(0.0, 1), True),
        (0, 1000, QuarantineLimit(0.0, 1), False),
        (1000, 1000, QuarantineLimit(1.0, 1), False),
    ],
)
def test_the_rule(malformed, read, limit, exceeded):
    assert limit.exceeded(malformed, read) is exceeded


def test_sound_rows_that_are_not_wanted_do_not_count():
    assert malformed_only({"empty_response": 9, "bad_tools": 1, "malformed_json": 2, "invalid_utf8": 2}) == {
        "invalid_utf8": 2,
        "malformed_json": 2,
        "bad_tools": 1,
    }


def test_a_source_has_the_common_limit_or_its_own(home, monkeypatch):
    home.settings.write_text(
        "quarantine_limit = 0.2\n[sources.a]\nquarantine_limit = 0.0\n[sources.b]\nquarantine_rows = 7\n"
    )
    settings = load_settings(home)
    assert settings.malformed_allowed("a") == QuarantineLimit(0.0, 50)
    assert settings.malformed_allowed("b") == QuarantineLimit(0.2, 7)
    assert settings.malformed_allowed("c") == QuarantineLimit(0.2, 50)
    monkeypatch.setenv("DEITA_QUARANTINE_LIMIT", "0.5")
    assert load_settings(home).malformed_allowed("c").share == 0.5
    for wrong in ("quarantine_limit = 1.1", "quarantine_rows = 0", "[sources.a]\nquarantine_limit = -1"):
        home.settings.write_text(wrong)
        monkeypatch.delenv("DEITA_QUARANTINE_LIMIT", raising=False)
        with pytest.raises(SettingsError, match="quarantine"):
            load_settings(home)


def test_only_a_changed_limit_makes_a_pool_stale(home):
    def inputs(asset, source, **settings):
        now = Staleness(None, home, DeitaSettings(**settings), list)
        now.data_version = lambda asset, partition: "1"
        return now.inputs(asset, source)

    before = short_digest([CODE_VERSIONS["raw_pool"], landing_state(home, "s"), None, {}, None])
    assert inputs("raw_pool", "s") == inputs("raw_pool", "s", quarantine_limit=0.05) == before
    other = {"sources": {"t": {"quarantine_limit": 0.5}}}
    own = {"sources": {"s": {"quarantine_limit": 0.5}}}
    assert inputs("raw_pool", "s", **other) == before
    assert inputs("raw_pool", "s", **own) == inputs("raw_pool", "s", quarantine_limit=0.5) != before
    for asset in ("selection_ledger", "scored_pool"):  # what is selected has nothing to do with it
        assert inputs(asset, "s", **own) == inputs(asset, "s")


def test_files_that_were_read_are_not_counted_again(warehouse, land):
    land("s", "a.jsonl", rows_of(range(10)) + [{"instruction": n} for n in range(9)])
    limit = QuarantineLimit(0.5, 10)
    assert ingest_source(warehouse, "s", SourceReading(malformed_allowed=limit)).n_quarantined == 9
    land("s", "b.jsonl", lines(good(11), b"nonsense"))
    assert ingest_source(warehouse, "s", SourceReading(malformed_allowed=limit)).n_quarantined == 10
    land("s", "c.jsonl", lines(good(12), *[b"{"] * 10))
    with pytest.raises(QuarantineLimitError, match="10 of the 11 rows"):
        ingest_source(warehouse, "s", SourceReading(malformed_allowed=limit))


def test_the_refused_quarantine_is_that_of_the_last_ingest(warehouse, land, home, monkeypatch):
    monkeypatch.setattr("deita_assets.engines.staging.ROWS_PER_FILE", 7)  # several staged files
    reading = SourceReading(malformed_allowed=QuarantineLimit(0.1, 5))
    land("s", "a.jsonl", rows_of(range(5)))
    ingest_source(warehouse, "s", reading)
    for n_bad in (20, 30):
        land("s", "b.jsonl", lines(good(7), *[b"{"] * n_bad))
        with pytest.raises(QuarantineLimitError):
            ingest_source(warehouse, "s", reading)
        assert [(row["file"], row["line"], row["reason"]) for row in refused_rows(home, "s")] == [
            ("b.jsonl", line, "malformed_json") for line in range(2, n_bad + 2)
        ]
    assert refused_sources(home) == ["s"]
    assert json.loads(json.dumps(next(refused_rows(home, "s"))))["source"] == "s"
    land.remove("s", "b.jsonl")
    assert not ingest_source(warehouse, "s", reading).changed
    assert refused_sources(home) == []


def test_rows_too_long_for_the_memory_allowed_are_loaded_all_the_same(warehouse, land, monkeypatch):
    asked = []
    real = type(warehouse).write

    def write(self, purpose, *, memory=None):
        asked.append(memory)
        return real(self, purpose, memory=memory)

    monkeypatch.setattr(type(warehouse), "write", write)
    monkeypatch.setattr(ingest, "_LOADING", 1 << 20)
    land("s", "a.jsonl", [{"instruction": f"q{n}", "output": f"{n:x}" * 200_000} for n in range(16, 36)])
    assert ingest_source(warehouse, "s").n_pool == 20
    assert asked[1:] == [None]
    assert 0 < asked[0] < 2 << 20
