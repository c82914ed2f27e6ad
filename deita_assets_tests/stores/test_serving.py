import stat
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from deita_assets.errors import NotFoundError, QueryTimeoutError, StoreError
from deita_assets.stores import serving
from deita_assets.stores.serving import open_serving, publish, run_within
from deita_assets_tests import crashes


def add_source(warehouse, name):
    with warehouse.write("test") as con:
        con.execute("insert into store.source values (?, null, '{}', null)", [name])


def sources(home):
    """As another process would see them: DuckDB gives one process the same old file while a reader has it open."""
    with duckdb.connect(str(home.serving), read_only=True) as con:
        return [name for (name,) in con.execute("select source from store.source order by 1").fetchall()]


def test_publish_shows_what_was_committed(home, warehouse):
    add_source(warehouse, "a")
    assert publish(home).changed
    assert sources(home) == ["a"]
    assert int.from_bytes(home.serving.read_bytes()[12:20], "little") <= 68


def test_publishing_again_is_a_no_op_until_something_changes(home, warehouse):
    publish(home)
    before = home.serving.stat()
    warehouse.migrate()
    with warehouse.read("look") as con:
        con.execute("select 1").fetchall()
    assert not publish(home).changed
    assert home.serving.stat().st_ino == before.st_ino
    add_source(warehouse, "a")
    assert publish(home).changed
    home.serving.unlink()
    assert publish(home).changed
    assert sources(home) == ["a"]


def test_a_commit_that_only_the_log_holds_is_read_and_published(home, warehouse):
    publish(home)
    assert crashes.run(crashes.commit_and_die, home) == crashes.KILLED
    assert home.warehouse.with_name("warehouse.duckdb.wal").stat().st_size > 0
    with warehouse.read("look") as con:
        assert con.execute("select source from store.source").fetchall() == [("logged",)]
    assert publish(home).changed
    assert sources(home) == ["logged"]
    assert not publish(home).changed


def test_nothing_to_publish_and_nothing_published(home):
    with pytest.raises(NotFoundError, match="holds no warehouse"):
        publish(home)
    with pytest.raises(NotFoundError, match=r"no serving\.duckdb"), open_serving(home):
        pass


def test_an_open_reader_keeps_its_snapshot(home, warehouse):
    publish(home)
    query = "select count(*) from store.source"
    with open_serving(home) as reader:
        add_source(warehouse, "a")
        assert publish(home).changed
        assert reader.execute(query).fetchall() == [(0,)]
    assert sources(home) == ["a"]
    with open_serving(home) as reader:
        assert reader.execute(query).fetchall() == [(1,)]


def test_two_readers_in_one_process(home, warehouse):
    publish(home)
    with open_serving(home) as one, open_serving(home) as two:
        query = "select count(*), current_setting('TimeZone') from pool"
        assert one.execute(query).fetchall() == two.execute(query).fetchall() == [(0, "UTC")]


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_text('{file}')",
        "select * from read_csv('{file}')",
        "select * from glob('{file}')",
        "copy (select 1) to '{file}.out'",
        "export database '{file}.out'",
        "attach '{file}.db'",
        "install httpfs",
        "load httpfs",
        "set enable_external_access = true",
        "set threads = 64",
        "reset lock_configuration",
        "insert into store.source values ('x', null, '{{}}', null)",
        "drop view pool",
    ],
)
def test_shared_sql_reaches_nothing_but_the_copy(home, warehouse, tmp_path, query):
    publish(home)
    file = tmp_path / "secret.txt"
    file.write_text("secret")
    before = sorted(tmp_path.rglob("*"))
    with open_serving(home) as con:
        with pytest.raises(duckdb.Error, match="disabled|locked|read-only"):
            con.execute(query.format(file=file)).fetchall()
        assert con.execute("select count(*) from pool").fetchall() == [(0,)]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("place", "published"),
    [
        ("duckdb:connect", False),
        ("os:fsync", False),
        ("pathlib:Path.replace", False),
        ("pathlib:Path.write_text", True),
    ],
)
def test_a_killed_publish_leaves_a_whole_copy_and_the_next_one_works(home, warehouse, place, published):
    add_source(warehouse, "a")
    publish(home)
    add_source(warehouse, "b")
    assert crashes.run(crashes.publish_serving, home, kill_at=place) == crashes.KILLED
    assert sources(home) == (["a", "b"] if published else ["a"])
    assert publish(home).changed
    assert sources(home) == ["a", "b"]
    assert not publish(home).changed
    assert not list(home.root.glob(".serving.duckdb.new*"))


def test_a_copy_that_outlives_its_killed_publish_cannot_spoil_the_next(home, warehouse):
    """`cp` is a process of its own: it goes on writing when the publish that started it is killed."""
    add_source(warehouse, "a")
    crashes.run(crashes.publish_serving, home, kill_at="os:fsync")
    (unfinished,) = home.root.glob(".serving.duckdb.new*")
    with unfinished.open("r+b") as orphan:
        publish(home)
        orphan.write(b"\0" * 500_000)
    assert sources(home) == ["a"]


def test_a_failing_copy_leaves_the_old_one(home, warehouse, monkeypatch):
    add_source(warehouse, "a")
    publish(home)
    add_source(warehouse, "b")
    real = serving.subprocess.run
    no_disk = ["/bin/sh", "-c", "echo No space left on device >&2; exit 1"]
    monkeypatch.setattr(serving.subprocess, "run", lambda _, **options: real(no_disk, **options))
    with pytest.raises(StoreError, match="No space left on device"):
        publish(home)
    assert sources(home) == ["a"]
    monkeypatch.undo()
    assert publish(home).changed
    assert sources(home) == ["a", "b"]


#: What a client does that opens the copy to write, as some do unless told otherwise, and dies.
WRITES_AND_DIES = """
import duckdb, os, sys
con = duckdb.connect(sys.argv[1])
con.execute('create table main.mine(a int)')
os._exit(0)
"""


def test_a_client_that_wrote_into_the_copy_spoils_neither_it_nor_the_next(home, warehouse):
    """Its log stays beside the file; read together with a later copy, it would make that one unreadable."""
    publish(home)
    assert stat.S_IMODE(home.serving.stat().st_mode) == 0o444
    home.serving.chmod(0o644)
    subprocess.run([sys.executable, "-c", WRITES_AND_DIES, str(home.serving)], check=True)
    assert home.serving.with_name("serving.duckdb.wal").exists()
    add_source(warehouse, "a")
    assert publish(home).changed
    assert sources(home) == ["a"]
    assert not home.serving.with_name("serving.duckdb.wal").exists()


def test_a_copy_that_was_written_to_is_replaced_though_the_warehouse_did_not_change(home, warehouse):
    publish(home)
    home.serving.chmod(0o644)
    with duckdb.connect(str(home.serving)) as con:
        con.execute("insert into store.source values ('mine', null, '{}', null)")
    assert sources(home) == ["mine"]
    assert publish(home).changed
    assert sources(home) == []
    assert not publish(home).changed


def test_a_query_sees_no_variable_of_the_program(home, warehouse):
    publish(home)
    secret = pa.table({"a": [1]})
    with open_serving(home) as con, pytest.raises(duckdb.CatalogException, match="secret does not exist"):
        con.execute("select * from secret").fetchall()
    with duckdb.connect() as con:  # which others would see
        assert con.execute("select * from secret").fetchall() == [(secret["a"][0].as_py(),)]


SLOW = "select count(*) from range(100000) a, range(10000000) b where (a.range * b.range) % 7 = 1"


def test_a_query_may_take_so_long_and_no_longer(home, warehouse):
    publish(home)
    with open_serving(home) as con:
        assert run_within(con, 30, lambda: con.execute("select 1").fetchall()) == [(1,)]
        assert run_within(con, 0, lambda: con.execute("select 2").fetchall()) == [(2,)]
        with pytest.raises(QueryTimeoutError, match="stopped after 0.2 s"):
            run_within(con, 0.2, lambda: con.execute(SLOW).fetchall())
        with pytest.raises(QueryTimeoutError):  # also between statements, when there is nothing to interrupt
            run_within(con, 0.2, lambda: [con.execute("select 1").fetchall() for _ in range(100_000)])
        with pytest.raises(ZeroDivisionError):
            run_within(con, 30, lambda: 1 / 0)
        assert con.execute("select 3").fetchall() == [(3,)]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPool")]


def test_a_query_has_half_of_the_machine(home, warehouse):
    publish(home)
    with open_serving(home) as con:
        threads, memory = con.execute(
            "select current_setting('threads'), current_setting('memory_limit')"
        ).fetchall()[0]
    assert 1 <= threads <= 8
    number, unit = memory.split()
    half = float(number) * {"MiB": 2**20, "GiB": 2**30, "TiB": 2**40}[unit]
    installed = int(Path("/proc/meminfo").read_text().split()[1]) * 1024
    assert half <= 0.51 * installed
