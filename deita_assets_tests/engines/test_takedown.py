"""Take-downs: a content is out of every pool for good, everything else stays, and the past can be made again."""

import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deita_assets.engines.ingest import SourceReading, ingest_source
from deita_assets.engines.takedown import find_rows, take_down
from deita_assets.engines.withdrawal import chosen_files, move_out, withdrawable
from deita_assets.errors import NotFoundError, UsageError
from deita_assets.stores import pool, takedowns
from deita_assets.stores.home import Home
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests import crashes
from deita_assets_tests.conftest import Landing
from deita_assets_tests.engines.rows import content_sha256, pool_version, rows_of, sample_id


def query(warehouse, text, *parameters):
    with warehouse.read("test") as con:
        return con.execute(text, list(parameters)).fetchall()


def held(warehouse, source):
    return {name for (name,) in query(warehouse, "select sample_id from pool where source = ?", source)}


def down(warehouse, *ids, reason="asked"):
    return take_down(warehouse, find_rows(warehouse, ids).contents, reason)


def versions(warehouse, source):
    return dict(query(warehouse, "select seq, pool_version from store.pool_version where source = ?", source))


@pytest.fixture
def two(warehouse, land):
    """Rows 0 to 9 in `s`, of which 5 to 9 and 20 are in `t` too."""
    land("s", "a.jsonl", rows_of(range(10)))
    land("t", "a.jsonl", rows_of([*range(5, 10), 20]))
    for source in ("s", "t"):
        ingest_source(warehouse, source)
    return warehouse


def test_a_row_leaves_the_pool_and_the_account_still_holds(two):
    assert down(two, sample_id("s", 1)) == ["s"]
    assert held(two, "s") == {sample_id("s", n) for n in range(10) if n != 1}
    assert versions(two, "s") == {1: pool_version(range(10)), 2: pool_version([0, *range(2, 10)])}
    with two.read("test") as con:
        report = pool.account(con, "s")
    assert (report.n_read, report.n_pool, report.n_taken, report.seq) == (10, 9, 1, 2)
    assert versions(two, "t") == {1: pool_version([*range(5, 10), 20])}
    assert query(two, "select sample_id, reason, from_seq from store.takedown") == [
        (sample_id("s", 1), "asked", 2)
    ]


def test_the_same_content_leaves_every_source(two):
    assert sorted(down(two, sample_id("s", 7))) == ["s", "t"]
    assert held(two, "t") == {sample_id("t", n) for n in (5, 6, 8, 9, 20)}
    assert held(two, "s") == {sample_id("s", n) for n in range(10) if n != 7}


def test_content_that_comes_later_elsewhere_or_again_stays_out(two, land):
    down(two, sample_id("s", 1), reason="by its author")
    land("u", "a.jsonl", rows_of([0, 1, 1]))
    report = ingest_source(two, "u")
    assert (report.n_read, report.n_pool, report.n_taken, report.n_exact_duplicates) == (3, 1, 1, 1)
    assert report.pool_version == pool_version([0])
    assert query(
        two, "select reason, from_seq from store.takedown where sample_id = ?", sample_id("u", 1)
    ) == [("by its author", 1)]
    land("s", "b.jsonl", rows_of([1, 30]))
    report = ingest_source(two, "s")
    assert (report.n_pool, report.n_taken, report.n_exact_duplicates, report.n_new) == (10, 1, 1, 1)
    assert sample_id("s", 1) not in held(two, "s")


def test_a_row_that_left_before_is_taken_down_all_the_same(two, land):
    land("s", "a.jsonl", rows_of(range(1, 10)))
    ingest_source(two, "s")
    before = versions(two, "s")
    assert down(two, sample_id("s", 0)) == []
    assert versions(two, "s") == before
    land("s", "a.jsonl", rows_of(range(10)))
    report = ingest_source(two, "s")
    assert (report.pool_version, report.n_taken) == (before[2], 1)


def test_every_past_version_can_still_be_made_again(two, land):
    made = {1: set(range(10)), 2: {*range(10)} - {3}}
    down(two, sample_id("s", 3))
    land("s", "b.jsonl", rows_of([3, 11]))
    assert ingest_source(two, "s").seq == 3
    made[3] = made[2] | {11}
    down(two, sample_id("s", 11))
    made[4] = made[2]
    for seq, numbers in made.items():
        lived = query(
            two,
            "select distinct o.sample_id from store.occurrence o where source = 's' and o.from_seq <= $n "
            "and (o.to_seq is null or o.to_seq > $n) and not exists "
            "(from store.takedown t where t.sample_id = o.sample_id and t.from_seq <= $n)".replace(
                "$n", str(seq)
            ),
        )
        assert {name for (name,) in lived} == {sample_id("s", n) for n in numbers}
        assert versions(two, "s")[seq] == pool_version(numbers)
    texts = query(two, "select count(*) from store.conversation where source = 's'")
    assert texts == [(11,)]


def test_again_changes_nothing(two):
    down(two, sample_id("s", 1), reason="first")
    before = query(two, "select * from store.takedown"), versions(two, "s"), takedowns.marked(two.home)
    assert down(two, sample_id("s", 1), reason="second") == []
    assert (
        query(two, "select * from store.takedown"),
        versions(two, "s"),
        takedowns.marked(two.home),
    ) == before


@pytest.mark.parametrize("cut", [6, 20, 32, 64])
def test_a_unique_start_is_enough_with_or_without_its_source(two, cut):
    start = content_sha256(5)[:cut]
    found = find_rows(two, [start])
    assert [row.sample_id for row in found.rows] == [sample_id("s", 5), sample_id("t", 5)]
    assert found.contents == [content_sha256(5)]
    assert find_rows(two, [f"t:{start[:32]}"]).contents == [content_sha256(5)]
    assert [row.in_pool for row in found.rows] == [True, True]
    assert found.new == found.rows


def test_what_does_not_name_one_row_is_refused(two, land):
    land("lonely", "a.jsonl", rows_of([40]))
    ingest_source(two, "lonely")
    for text, kind, message in (
        ("abc", UsageError, "6 characters"),
        ("s:", UsageError, "6 characters"),
        ("s:12345", UsageError, "6 characters"),
        ("zzzzzz", NotFoundError, "no row 'zzzzzz'"),
        ("lonely", NotFoundError, "no row 'lonely'"),  # a source, though of a single row
        (sample_id("u", 1), NotFoundError, "no row"),
    ):
        with pytest.raises(kind, match=message):
            find_rows(two, [text])
    with two.write("two contents that start alike") as con:
        con.execute(
            "update store.conversation set content_sha256 = 'abcdef' || content_sha256 where source = 't'"
        )
    with pytest.raises(UsageError, match="start of 6 rows"):
        find_rows(two, ["abcdef"])


def test_the_mark_tells_of_sources_that_hold_the_content(two):
    assert takedowns.marked(two.home) == {}
    down(two, sample_id("s", 1))
    first = takedowns.marked(two.home)
    assert set(first) == {"s"}
    down(two, sample_id("s", 7))
    second = takedowns.marked(two.home)
    assert set(second) == {"s", "t"}
    assert second["s"] > first["s"]


def test_selections_that_hold_a_row_are_named_current_ones_first(two):
    ids = [sample_id("s", n) for n in range(3)]
    with two.write("three versions") as con:
        for at, (version, members) in enumerate({"v1": ids, "v2": ids[:1], "v3": ids[1:]}.items()):
            con.execute(
                "insert into store.selection values (?, 'source', 's', 3, ?, 'l', 'm', '{}', ?, false, null, "
                "timestamp '2026-01-01' + ? * interval 1 day)",
                [version, len(members), f"subsets/{version}", at],
            )
            for position, member in enumerate(members, 1):
                con.execute(
                    "insert into store.selection_member (selection_version, position, sample_id, rank, evol_score) "
                    "values (?, ?, ?, 1, 1.0)",
                    [version, position, member],
                )
        con.execute("insert into store.selection_head values ('source', 's', 3, 'v1')")
    found = find_rows(two, [ids[0], ids[1]]).versions
    assert [(one.selection_version, one.is_head, one.n_rows, one.sample_ids) for one in found] == [
        ("v1", True, 2, ids[:2]), ("v3", False, 1, [ids[1]]), ("v2", False, 1, [ids[0]]),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "place",
    [
        "deita_assets.stores.takedowns:save_takedown",
        "deita_assets.stores.pool:account",
        "deita_assets.stores.takedowns:mark",
        "pathlib:Path.replace",
    ],
)
def test_killed_at_any_step_nothing_was_begun_and_it_can_be_done(two, place):
    before = versions(two, "s"), held(two, "s"), held(two, "t")
    code = crashes.run(crashes.take_down, two.home, [content_sha256(7)], kill_at=place)
    assert code == crashes.KILLED
    assert (versions(two, "s"), held(two, "s"), held(two, "t")) == before
    assert query(two, "select count(*) from store.takedown") == [(0,)]
    assert sorted(down(two, sample_id("s", 7))) == ["s", "t"]


def test_killed_after_the_mark_the_next_one_leaves_another(two):
    """Whoever brought a source up to date between the two must notice the second."""
    assert crashes.run(crashes.take_down, two.home, [content_sha256(7)], True) == crashes.KILLED
    assert query(two, "select count(*) from store.takedown") == [(0,)]
    first = takedowns.marked(two.home)
    assert set(first) == {"s", "t"}
    down(two, sample_id("s", 7))
    assert all(takedowns.marked(two.home)[source] != first[source] for source in first)


def test_take_downs_at_once_have_times_in_the_order_of_their_commits(two, monkeypatch):
    """Which rows a frozen base had lost by some moment is told by these times."""
    write = Warehouse.write

    def wait_for_another(warehouse, purpose):
        monkeypatch.setattr(Warehouse, "write", write)
        take_down(warehouse, [content_sha256(2)], "comes first")
        return write(warehouse, purpose)

    monkeypatch.setattr(Warehouse, "write", wait_for_another)
    take_down(two, [content_sha256(1)], "waits for the lock")
    times = dict(query(two, "select sample_id, taken_at from store.takedown"))
    assert times[sample_id("s", 2)] < times[sample_id("s", 1)]


def test_while_an_ingest_of_the_source_goes_on(two, land):
    land("s", "b.jsonl", rows_of(range(100, 3000)))
    process = crashes.start(crashes.ingest, two.home, "s")
    down(two, sample_id("s", 1))
    assert crashes.finish(process) == 0
    with two.read("test") as con:
        assert pool.account(con, "s").pool_version == pool_version([0, *range(2, 10), *range(100, 3000)])


FILES = {"a": (0, 1, 2, 3), "b": (2, 3, 4), "c": (5, 6), "d": (0, 6, 7)}
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "withdraw", "takedown"]), st.sampled_from("st"), st.sampled_from("abcd")
    ),
    min_size=4,
    max_size=9,
)


@pytest.fixture(scope="module")
def places(tmp_path_factory, migrated):
    return lambda: _fresh(tmp_path_factory.mktemp("steps"), migrated)


def _fresh(folder, migrated):
    home = Home(folder / "home").create()
    shutil.copyfile(migrated, home.warehouse)
    return Warehouse(home), Landing(home)


@given(STEPS)
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_order_of_steps_gives_what_sets_say(places, steps):
    _follow(places, steps)


@pytest.mark.slow
@given(STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_of_many_orders_of_steps_gives_what_sets_say(places, steps):
    _follow(places, steps)


def _follow(places, steps):
    """The pool of a source is the union of the files that stand, without the contents taken down; equal sets of rows
    have equal versions, whatever happened between."""
    warehouse, land = places()
    home, standing, taken, seen = warehouse.home, {"s": set(), "t": set()}, set(), {}
    ever = {"s": False, "t": False}
    for what, source, name in steps:
        if what == "add":
            land(source, f"{name}.jsonl", rows_of(FILES[name]))
            standing[source].add(name)
            ingest_source(warehouse, source)
            ever[source] = True
        elif what == "withdraw" and name in standing[source]:
            with warehouse.read("test") as con:
                there = withdrawable(home, source, pool.live_files(con, source))
            uris = chosen_files(home, source, [f"{name}.jsonl"], there)
            assert [one.uri for one in move_out(home, source, uris)] == [f"{name}.jsonl"]
            standing[source].discard(name)
            ingest_source(warehouse, source, SourceReading(by_hand=frozenset(uris)))
        elif what == "takedown" and ever[source]:
            number = FILES[name][0]
            if query(
                warehouse, "select 1 from store.conversation where content_sha256 = ?", content_sha256(number)
            ):
                down(warehouse, content_sha256(number))
                taken.add(number)
        for each, names in standing.items():
            if ever[each]:
                numbers = {n for file in names for n in FILES[file]} - taken
                assert held(warehouse, each) == {sample_id(each, n) for n in numbers}
                with warehouse.read("test") as con:
                    report = pool.account(con, each)
                assert report.pool_version == pool_version(numbers)
                assert seen.setdefault(frozenset(numbers), report.pool_version) == report.pool_version
                assert report.n_read == sum(len(FILES[file]) for file in names)
