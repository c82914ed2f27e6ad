"""SIGKILL in the middle of an ingest: the old pool or the new one, nothing between, and the next ingest completes."""

import random
import time

import pytest

from deita_assets.engines.ingest import ingest_source
from deita_assets.errors import NotFoundError
from deita_assets.stores import pool
from deita_assets_tests import crashes
from deita_assets_tests.engines.rows import good, lines, pool_version, rows_of

OLD, NEW = range(50), range(40, 90)


def standing(warehouse):
    """What the store holds now, its counts checked against each other; None before the first ingest."""
    with warehouse.read("test") as con:
        try:
            report = pool.account(con, "s")
        except NotFoundError:
            return None
        assert con.execute("select count(*) from pool").fetchall() == [(report.n_pool,)]
        return report


def land_new(land):
    """Most rows stay, a file comes, and one is removed: all statements of an ingest have work."""
    land("s", "a.jsonl", rows_of(OLD))
    land("s", "b.jsonl", lines(*rows_of(NEW), b"nonsense"))


@pytest.mark.parametrize(
    ("place", "calls", "done"),
    [
        ("deita_assets.engines.staging:Stage.flush", 1, False),
        ("deita_assets.stores.pool:save_source", 1, False),
        ("deita_assets.stores.pool:load_staged", 1, False),
        ("deita_assets.stores.pool:save_files", 1, False),
        ("deita_assets.stores.pool:rebuild_pool", 1, False),
        ("deita_assets.stores.pool:account", 1, False),
        ("deita_assets.stores.pool:save_batch", 1, False),
        ("shutil:rmtree", 1, True),
    ],
)
def test_killed_at_any_step_the_old_pool_stands(home, warehouse, land, place, calls, done):
    land("s", "a.jsonl", rows_of(OLD))
    land("s", "old.jsonl", rows_of([1000]))
    ingest_source(warehouse, "s")
    before = standing(warehouse)
    land.remove("s", "old.jsonl")
    land_new(land)
    assert crashes.run(crashes.ingest, home, "s", kill_at=place, calls=calls) == crashes.KILLED

    after = standing(warehouse)
    if not done:
        assert after == before
    assert len(list(home.staging.iterdir())) == 1
    report = ingest_source(warehouse, "s")
    assert (report.changed, report.seq) == (not done, 2)
    assert (report.n_pool, report.n_quarantined, report.n_read) == (90, 1, 101)
    assert report.pool_version == pool_version([*OLD, *NEW])
    assert list(home.staging.iterdir()) == []


def _kill_at_random_moments(home, warehouse, land, rounds, n_rows):
    rows = [good(n) for n in range(n_rows)]
    land("s", "a.jsonl", lines(*rows, b"nonsense", *rows[:100]))
    whole = (n_rows + 101, n_rows, 100, 1)
    rng = random.Random(rounds)  # noqa: S311 - reproducible, not secret
    lengths = [n_rows / 1500]
    for _ in range(rounds):
        process = crashes.start(crashes.ingest, home, "s")
        began = time.monotonic()
        process.join(rng.uniform(0, lengths[-1]))
        crashes.kill(process)
        found = standing(warehouse)
        if process.exitcode == 0:
            lengths.append(time.monotonic() - began)
        if found is not None:
            assert (found.n_read, found.n_pool, found.n_exact_duplicates, found.n_quarantined) == whole
            land("s", "a.jsonl", lines(*rows, b"nonsense", *rows[:99], rows[101]))  # another file: start over
            ingest_source(warehouse, "s")
            land("s", "a.jsonl", lines(*rows, b"nonsense", *rows[:100]))
    report = ingest_source(warehouse, "s")
    assert (report.n_read, report.n_pool, report.n_exact_duplicates, report.n_quarantined) == whole
    assert report.pool_version == pool_version(range(n_rows))
    assert list(home.staging.iterdir()) == []


def test_killed_at_random_moments(home, warehouse, land):
    _kill_at_random_moments(home, warehouse, land, rounds=3, n_rows=3_000)


@pytest.mark.slow
def test_killed_at_many_random_moments_of_a_large_ingest(home, warehouse, land):
    _kill_at_random_moments(home, warehouse, land, rounds=15, n_rows=60_000)


def test_two_ingests_of_one_source_at_once(home, warehouse, land):
    land_new(land)
    processes = [crashes.start(crashes.ingest, home, "s") for _ in range(3)]
    assert [crashes.finish(process) for process in processes] == [0, 0, 0]
    report = standing(warehouse)
    assert (report.seq, report.n_pool, report.n_read) == (1, 90, 101)


def test_ingests_of_different_sources_at_once(home, warehouse, land):
    for source in ("s", "t", "u"):
        land(source, "a.jsonl", rows_of(range(30)))
    processes = [crashes.start(crashes.ingest, home, source) for source in ("s", "t", "u")]
    assert [crashes.finish(process) for process in processes] == [0, 0, 0]
    with warehouse.read("test") as con:
        assert con.execute("select source, count(*) from pool group by 1 order by 1").fetchall() == [
            ("s", 30), ("t", 30), ("u", 30),
        ]  # fmt: skip
