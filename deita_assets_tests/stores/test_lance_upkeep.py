"""Upkeep changes how tables lie, never what they hold, nor what a reader sees who opened them before."""

import hashlib
import random
import time
from datetime import timedelta

import lancedb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_assets.stores import lance_upkeep
from deita_assets.stores.lance_upkeep import compact_table, droppable_age, look, table_names
from deita_assets.stores.ordered_vectors import OrderedVectors
from deita_assets.stores.vectors import EmbeddingTable, ScoreTable, audit_tables
from deita_assets_tests import crashes

FP = "abcdef12" * 2
NAME = "embeddings_abcdef12"
NOW, KEPT = timedelta(0), timedelta(hours=1)


def key(n):
    return hashlib.sha256(str(n).encode()).hexdigest()


def vector(n):
    return [n + 1] * 4


def fill(home, numbers, step=5):
    table = EmbeddingTable(home, FP, 4)
    for at in range(0, len(numbers), step):
        part = list(numbers)[at : at + step]
        table.insert([key(n) for n in part], np.array([vector(n) for n in part], np.float32))
    return table


def holds(home, numbers):
    """The table holds the vectors of `numbers`, each once, and of nothing else."""
    table = EmbeddingTable(home, FP)
    loaded, found = table.load([key(n) for n in numbers])
    assert found.all()
    assert loaded.tolist() == [vector(n) for n in numbers]
    assert table.contents() == {key(n) for n in numbers}
    (audit,) = [one for one in audit_tables(home) if one.name == NAME]
    assert audit.n_rows == audit.n_keys == len(numbers)


@pytest.mark.parametrize("keep", [NOW, KEPT])
def test_fragments_become_one_and_rows_stay(home, keep):
    fill(home, range(50))
    done = compact_table(home, NAME, keep)
    assert (done.before.n_rows, done.before.n_fragments, done.before.n_versions) == (50, 10, 11)
    assert (done.after.n_rows, done.after.n_fragments) == (50, 1)
    assert done.after == look(home, NAME).before
    holds(home, range(50))
    fill(home, range(45, 60))
    holds(home, range(60))
    again = compact_table(home, NAME, keep)
    assert (again.before.n_fragments, again.after.n_fragments) == (3, 1)
    holds(home, range(60))


def test_only_zero_hours_drop_what_was_current_a_moment_ago(home):
    fill(home, range(50))
    kept = compact_table(home, NAME, KEPT).after
    assert kept.n_versions >= 12
    dropped = compact_table(home, NAME, NOW).after
    assert dropped.n_versions == 1
    assert dropped.n_bytes < kept.n_bytes / 2
    holds(home, range(50))


@pytest.mark.slow
def test_the_edition_before_a_compaction_stays_however_old_it_is(home, monkeypatch):
    """Its own commit is long ago, yet a pass may have opened it just now."""
    pinned = fill(home, range(50))
    ids = pinned.row_ids([key(n) for n in range(50)])
    monkeypatch.setattr(lance_upkeep, "SLACK_S", 0.05)
    time.sleep(4.2)  # every edition but those of the compaction is older than is kept
    done = compact_table(home, NAME, timedelta(seconds=4))
    assert 2 <= done.after.n_versions < done.before.n_versions
    table = lancedb.connect(str(home.lance)).open_table(NAME)
    table.checkout(11)
    assert table.count_rows() == 50
    assert pinned.take(ids).tolist() == [vector(n) for n in range(50)]
    assert pinned._present is None  # it never had to go over


@given(
    st.lists(st.floats(0, 1000), min_size=1, max_size=12, unique=True).map(sorted),
    st.floats(0, 500),
    st.floats(1, 800),
)
def test_what_was_current_within_the_time_is_never_droppable(times, since, keep_s):
    """Edition i is current from times[i] until times[i + 1]; Lance drops those committed before now - age."""
    now = times[-1] + since
    age = droppable_age(times, now, keep_s)
    ends = [*times[1:], float("inf")]
    needed = [at for at, end in zip(times, ends, strict=True) if end > now - keep_s]
    if age is None:
        assert needed == times
        return
    assert all(at > now - age for at in needed)
    dropped = [at for at in times if at < now - age]
    spared = [at for at in times if at not in needed and at not in dropped]
    assert all(min(needed) - at <= lance_upkeep.SLACK_S + 1e-6 for at in spared)


def test_droppable_ages_by_hand():
    day, hour = 86_400.0, 3_600.0
    old = [0.0, 10 * day, 20 * day]
    assert droppable_age(old, 30 * day, hour) == 10 * day + lance_upkeep.SLACK_S
    assert droppable_age([*old, 30 * day - 5], 30 * day, hour) == 10 * day + lance_upkeep.SLACK_S
    assert droppable_age([5.0, 6.0], 7.0, hour) is None
    assert droppable_age(old, 30 * day, 0.0) == 0.0


def test_a_pass_whose_edition_was_dropped_goes_over_to_the_present_one(home):
    numbers = list(range(200))
    table = fill(home, numbers, step=20)
    fill(home, [999])
    table = EmbeddingTable(home, FP)
    wanted = [key(n) for n in [*numbers, 10**6]]
    vectors = OrderedVectors(table, wanted)
    ids = table.row_ids(wanted)
    assert ids[-1] == -1
    compact_table(home, NAME, NOW)
    fill(home, range(300, 340))
    compact_table(home, NAME, NOW)
    mixed = np.array([150, 3, 150, 199, 0])
    assert table.take(ids[mixed]).tolist() == [vector(n) for n in mixed]
    assert table.load([key(7), key(999)])[1].tolist() == [True, True]
    order = np.arange(200)[::-1].copy()
    vectors.follow(order)
    for start in range(0, 200, 50):
        rows = order[start : start + 50]
        assert vectors.take(rows).tolist() == [vector(n) for n in rows]
    fill(home, range(400, 410))  # a third edition, and the second dropped in its turn
    compact_table(home, NAME, NOW)
    assert table.take(ids[mixed]).tolist() == [vector(n) for n in mixed]


def test_inserting_goes_on_with_a_table_opened_before(home):
    table = fill(home, range(20))
    scores = ScoreTable(home)
    scores.insert("quality", FP, [key(1)], np.array([1.0]), ["ok"])
    for name in table_names(home):
        compact_table(home, name, NOW)
    table.load([key(1)])
    assert table.insert([key(1), key(500)], np.array([vector(9), vector(500)], np.float32)) == 1
    assert scores.insert("quality", FP, [key(1), key(2)], np.array([5.0, 2.0]), ["ok", "ok"]) == 1
    assert sorted(scores.results("quality", FP)["score"].to_pylist()) == [1.0, 2.0]
    holds(home, [*range(20), 500])


def test_an_empty_table(home):
    EmbeddingTable(home, FP, 4)
    assert compact_table(home, NAME, NOW).after.n_rows == 0
    fill(home, range(3))
    holds(home, range(3))


def _race(home, n_rows, rounds):
    fill(home, range(10))
    together = crashes.barrier(4)
    writers = [
        crashes.start(crashes.insert_vectors, home, FP, list(range(start, n_rows)), 4, together)
        for start in (0, 0, 40)
    ]
    compactor = crashes.start(crashes.compact_often, home, NAME, together, rounds)
    assert [crashes.finish(process) for process in (*writers, compactor)] == [0, 0, 0, 0]
    holds(home, range(n_rows))
    compact_table(home, NAME, NOW)
    holds(home, range(n_rows))


@pytest.mark.slow
def test_writers_in_other_processes_lose_and_double_nothing(home):
    _race(home, 400, 25)


@pytest.mark.slow
def test_killed_at_any_moment_nothing_is_lost_and_the_next_one_completes(home):
    rng = random.Random(1)  # noqa: S311 - reproducible, not secret
    n_rows = 0
    for _ in range(8):
        fill(home, range(n_rows, n_rows + 100), step=2)
        n_rows += 100
        process = crashes.start(crashes.compact, home, NAME, 0.0)
        time.sleep(1.0 + rng.uniform(0, 0.8))  # loading lancedb takes the first second
        crashes.kill(process)
        holds(home, range(n_rows))
    done = compact_table(home, NAME, NOW)
    assert (done.after.n_fragments, done.after.n_versions) == (1, 1)
    holds(home, range(n_rows))
