"""What stands in landing is the source: files that come, change, move and go."""

import hashlib
import random

import pytest

from deita_assets.engines.ingest import SourceReading, ingest_source
from deita_assets.stores import pool
from deita_assets_tests.engines.rows import lines, pool_version, rows_of, sample_id

ACCEPT = SourceReading(accept_removals=True)


@pytest.fixture
def source(warehouse, land):
    return Source(warehouse, land)


class Source:
    """One source and what the store says about it."""

    def __init__(self, warehouse, land):
        self.warehouse, self.land = warehouse, land

    def put(self, name, numbers):
        return self.land("s", name, rows_of(numbers))

    def remove(self, name):
        self.land.remove("s", name)

    def ingest(self, **reading):
        return ingest_source(self.warehouse, "s", SourceReading(**reading))

    def query(self, text):
        with self.warehouse.read("test") as con:
            return con.execute(text).fetchall()

    def holds(self, numbers):
        stored = {name for (name,) in self.query("select sample_id from pool")}
        return stored == {sample_id("s", n) for n in numbers}

    def state(self):
        """Everything about the source that another ingest could change."""
        tables = (
            "source",
            "file",
            "conversation",
            "turn",
            "occurrence",
            "quarantine",
            "pool_version",
            "pool_row",
        )
        rows = {name: self.query(f"select * from store.{name} order by all") for name in tables}
        return rows | {"batches": self.query("select * from store.ingest_batch order by seq")}


def test_the_same_files_again_change_nothing(source):
    source.put("a.jsonl", range(10))
    first = source.ingest()
    before = source.state()
    second = source.ingest()
    assert (first.changed, second.changed, second.n_new) == (True, False, 0)
    assert (second.pool_version, second.seq, second.n_pool) == (first.pool_version, 1, 10)
    assert source.state() == before


def test_a_touched_file_changes_nothing(source):
    path = source.put("a.jsonl", range(10))
    first = source.ingest()
    path.write_bytes(path.read_bytes())
    assert source.ingest() == first.__class__(**{**vars(first), "changed": False, "n_new": 0})


def test_a_renamed_copy_keeps_the_version(source):
    source.put("a.jsonl", range(10))
    first = source.ingest()
    source.put("copy.jsonl", range(10))
    second = source.ingest()
    assert (second.n_pool, second.n_new, second.n_exact_duplicates) == (10, 0, 10)
    assert second.pool_version == first.pool_version


def test_a_renamed_file_keeps_the_version_and_its_rows_move(source):
    path = source.put("a.jsonl", range(10))
    first = source.ingest()
    path.rename(path.with_name("b.jsonl"))
    second = source.ingest()
    assert (second.pool_version, second.n_withdrawn, second.n_withheld) == (first.pool_version, 0, 0)
    assert source.query("select distinct file from pool") == [("b.jsonl",)]


def test_an_appended_file(source):
    path = source.put("a.jsonl", range(10))
    source.ingest()
    with path.open("ab") as out:
        out.write(lines(*rows_of([10, 11])))
    report = source.ingest()
    assert (report.n_new, report.n_withdrawn, report.n_pool, report.n_read) == (2, 0, 12, 12)
    assert report.pool_version == pool_version(range(12))
    assert source.query("select count(*) from store.file where to_seq is null") == [(1,)]


def test_a_file_caught_while_it_is_written(source, land):
    land("s", "a.jsonl", lines(*rows_of(range(5)))[:-20])
    report = source.ingest()
    assert (report.n_pool, report.quarantine_reasons) == (4, {"truncated_json": 1})
    source.put("a.jsonl", range(5))
    report = source.ingest()
    assert (report.n_pool, report.n_quarantined, report.n_withdrawn) == (5, 0, 0)


def test_a_changed_file_replaces_its_rows(source):
    source.put("a.jsonl", range(10))
    source.ingest()
    source.put("a.jsonl", range(1, 11))
    report = source.ingest()
    assert (report.n_new, report.n_withdrawn, report.n_pool) == (1, 1, 10)
    assert source.holds(range(1, 11))


def test_there_and_back_again_gives_the_same_version(source):
    source.put("a.jsonl", range(10))
    first = source.ingest()
    source.put("a.jsonl", range(20, 30))
    second = source.ingest(accept_removals=True)
    assert source.holds(range(20, 30))
    source.put("a.jsonl", range(10))
    third = source.ingest(accept_removals=True)
    assert first.pool_version == third.pool_version != second.pool_version
    assert [report.seq for report in (first, second, third)] == [1, 2, 3]
    assert (third.n_new, third.n_withdrawn, third.n_read) == (10, 10, 10)
    assert source.holds(range(10))
    assert source.query("select count(*), count(distinct sample_id) from store.conversation") == [(20, 20)]
    assert source.query("select count(*) from store.turn") == [(20,)]


@pytest.mark.parametrize("lost", [1, 2])
def test_removals_up_to_a_fifth_are_followed(source, lost):
    source.put("a.jsonl", range(10 - lost))
    source.put("b.jsonl", range(10 - lost, 10))
    source.ingest()
    source.remove("b.jsonl")
    report = source.ingest()
    assert (report.n_withdrawn, report.n_withheld, report.n_pool) == (lost, 0, 10 - lost)
    assert source.holds(range(10 - lost))


def test_larger_removals_wait_until_they_are_accepted(source):
    source.put("a.jsonl", range(7))
    source.put("b.jsonl", range(7, 10))
    source.ingest()
    source.remove("b.jsonl")
    before = source.state()
    for _ in range(2):
        report = source.ingest()
        assert (report.n_withdrawn, report.n_withheld, report.n_pool, report.changed) == (0, 3, 10, False)
        assert source.state() == before
    report = source.ingest(accept_removals=True)
    assert (report.n_withdrawn, report.n_withheld, report.n_pool) == (3, 0, 7)
    assert source.holds(range(7))
    source.put("b.jsonl", range(7, 10))
    assert source.ingest().pool_version == pool_version(range(10))


def test_new_files_come_in_while_a_removal_waits(source):
    source.put("a.jsonl", range(7))
    source.put("b.jsonl", range(7, 10))
    source.ingest()
    source.remove("b.jsonl")
    source.put("c.jsonl", [10])
    report = source.ingest()
    assert (report.n_new, report.n_withdrawn, report.n_withheld, report.n_pool) == (1, 0, 3, 11)
    assert report.n_read == 11
    report = source.ingest(accept_removals=True)
    assert source.holds([*range(7), 10])
    assert report.n_withdrawn == 3


def test_a_rewritten_file_keeps_its_old_rows_until_that_is_accepted(source):
    source.put("a.jsonl", range(10))
    source.ingest()
    source.put("a.jsonl", range(5, 15))
    report = source.ingest()
    assert (report.n_new, report.n_withheld, report.n_pool) == (5, 5, 15)
    again = source.ingest()
    assert (again.n_withheld, again.pool_version, again.seq) == (5, report.pool_version, report.seq)
    source.put("a.jsonl", range(10))  # and back: the other half would be lost now
    assert source.ingest().n_pool == 15
    source.ingest(accept_removals=True)
    assert source.holds(range(10))


def test_a_new_edition_put_in_place_by_hand_needs_no_second_yes(source):
    source.put("a.jsonl", range(10))
    source.put("b.jsonl", range(10, 15))
    source.ingest()
    source.put("a.jsonl", range(20, 30))
    report = source.ingest(by_hand=frozenset({"a.jsonl"}))
    assert (report.n_withdrawn, report.n_withheld, report.n_pool) == (10, 0, 15)
    source.put("a.jsonl", range(10))
    source.remove("b.jsonl")  # another file that is gone was not meant by it
    report = source.ingest(by_hand=frozenset({"a.jsonl"}))
    assert (report.n_withdrawn, report.n_withheld, report.n_pool) == (10, 5, 15)


def test_what_the_hub_let_go_goes_by_content_and_not_by_name(source):
    first = source.put("a.jsonl", range(10))
    source.put("b.jsonl", range(10, 15))
    source.ingest()
    gone = frozenset({("a.jsonl", hashlib.sha256(first.read_bytes()).hexdigest())})
    source.put("a.jsonl", range(20, 30))
    report = source.ingest(let_go=gone)
    assert (report.n_withdrawn, report.n_withheld, report.n_pool) == (10, 0, 15)
    source.remove("a.jsonl")  # of its name, and not what the hub let go
    report = source.ingest(let_go=gone)
    assert (report.n_withdrawn, report.n_withheld, report.n_pool) == (0, 10, 15)


def test_a_removal_hidden_behind_duplicates_is_none(source):
    source.put("a.jsonl", range(10))
    source.put("b.jsonl", range(10))
    source.ingest()
    source.remove("a.jsonl")
    report = source.ingest()
    assert (report.n_withdrawn, report.n_withheld, report.n_pool) == (0, 0, 10)


@pytest.mark.parametrize("how", ["emptied", "gone"])
@pytest.mark.parametrize("reading", [{}, {"format": "messages"}])
def test_an_empty_landing_withdraws_nothing_unless_accepted(source, how, reading):
    """An unmounted disk looks like this; that the source is to be read otherwise does not change it."""
    path = source.put("a.jsonl", range(10))
    first = source.ingest()
    path.unlink()
    if how == "gone":
        path.parent.rmdir()
    report = source.ingest(**reading)
    assert (report.n_withheld, report.n_pool, report.pool_version) == (10, 10, first.pool_version)
    assert source.holds(range(10))
    report = source.ingest(accept_removals=True)
    assert (report.n_pool, report.n_withdrawn) == (0, 10)
    assert report.pool_version == pool_version([])
    source.put("a.jsonl", range(10))
    assert source.ingest().pool_version == first.pool_version


def test_a_licence_alone_is_saved_without_a_new_version(source):
    source.put("a.jsonl", range(3))
    first = source.ingest(licence="CC0")
    assert source.query("select distinct licence from pool") == [("CC0",)]
    second = source.ingest(licence="MIT")
    assert (second.changed, second.seq, second.pool_version) == (False, 1, first.pool_version)
    assert source.query("select distinct licence from pool") == [("MIT",)]
    source.put("b.jsonl", [3])
    source.ingest()
    assert source.query("select distinct licence from pool") == [("MIT",)]


def change_something(rng, files):
    """One change to `files` (name -> numbers of its rows), in place."""
    name = rng.choice(list(files))
    change = rng.choice(["new", "grow", "rewrite", "copy", "move", "remove"])
    if change == "new":
        files[f"{len(files)}{rng.randrange(99)}.jsonl"] = rng.sample(range(40), 8)
    elif change == "grow":
        files[name] = files[name] + rng.sample(range(40), 3)
    elif change == "rewrite":
        files[name] = rng.sample(range(40), 6)
    elif change == "copy":
        files[f"copy-of-{name}"] = files[name]
    elif change == "move":
        files[f"moved-{name}"] = files.pop(name)
    elif len(files) > 1:
        del files[name]


@pytest.mark.parametrize("seed", range(2))
def test_random_changes_follow_the_files(source, seed):
    """The pool is the union of the rows in the files that stand, whatever happened on the way."""
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    files = {"0.jsonl": list(range(5))}
    source.put("0.jsonl", files["0.jsonl"])
    source.ingest()
    for _ in range(6):
        before = {n for numbers in files.values() for n in numbers}
        for _ in range(rng.randrange(3)):
            change_something(rng, files)
        for old in source.land.path("s", "").glob("*.jsonl"):
            old.unlink()
        for name, numbers in files.items():
            source.put(name, numbers)
        now = {n for numbers in files.values() for n in numbers}
        report = source.ingest(accept_removals=True)
        assert source.holds(now)
        assert report.pool_version == pool_version(now)
        assert (report.n_new, report.n_withdrawn) == (len(now - before), len(before - now))
        assert report.n_read == sum(map(len, files.values()))
        assert report.n_exact_duplicates == report.n_read - len(now)


def test_every_past_version_can_be_made_again(source):
    """Occurrences say from which ingest to which they count."""
    versions = {}
    for numbers in (range(5), range(3, 9), range(20)):
        source.put("a.jsonl", numbers)
        report = source.ingest(accept_removals=True)
        versions[report.seq] = (report.pool_version, set(numbers))
    for seq, (version, numbers) in versions.items():
        living = source.query(
            f"select sample_id from store.occurrence where from_seq <= {seq} and coalesce(to_seq, 999) > {seq}"
        )
        assert {name for (name,) in living} == {sample_id("s", n) for n in numbers}
        assert source.query(f"select pool_version from store.pool_version where seq = {seq}") == [(version,)]


def test_one_source_leaves_the_others_alone(source, land):
    source.put("a.jsonl", range(5))
    source.ingest()
    before = source.query("select * from pool where source = 's' order by all")
    land("s-2", "a.jsonl", rows_of(range(3)))
    ingest_source(source.warehouse, "s-2")
    land("s-2", "a.jsonl", rows_of(range(8, 9)))
    ingest_source(source.warehouse, "s-2", ACCEPT)
    assert source.query("select * from pool where source = 's' order by all") == before
    with source.warehouse.read("test") as con:
        assert pool.sources(con) == ["s", "s-2"]
        assert pool.pool_version(con, "s-2") == (pool_version([8]), 1)


def test_leftovers_of_a_killed_ingest_are_removed_but_not_those_of_other_sources(source):
    staging = source.warehouse.home.staging
    for name in ("s-0123456789ab", "s-2-0123456789ab", "other"):
        (staging / name).mkdir()
    source.put("a.jsonl", range(3))
    source.ingest()
    assert sorted(path.name for path in staging.iterdir()) == ["other", "s-2-0123456789ab"]
    (staging / "s-ba9876543210").mkdir()
    source.ingest()
    assert sorted(path.name for path in staging.iterdir()) == ["other", "s-2-0123456789ab"]
