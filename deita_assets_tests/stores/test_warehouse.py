import time

import duckdb
import pytest

from deita_assets.errors import LockTimeoutError, StoreError
from deita_assets.stores import warehouse as module
from deita_assets.stores.sql import statement, statements
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests import crashes


def everything(con):
    """Every object of the catalogue with its text, and the applied migrations."""
    return (
        con.execute(
            "select schema_name, table_name, sql from duckdb_tables() union all "
            "select schema_name, view_name, sql from duckdb_views() where not internal order by all"
        ).fetchall(),
        con.execute("select * from store.migration order by all").fetchall(),
    )


def sources(warehouse):
    with warehouse.read("test") as con:
        return [name for (name,) in con.execute("select source from store.source order by 1").fetchall()]


def add_source(con, name):
    con.execute("insert into store.source values (?, null, '{}', null)", [name])


def test_migrating_again_changes_nothing(home):
    warehouse = Warehouse(home)
    warehouse.migrate()
    with warehouse.read("test") as con:
        before = everything(con)
    content = home.warehouse.read_bytes()
    warehouse.migrate()
    assert home.warehouse.read_bytes() == content
    with warehouse.read("test") as con:
        assert everything(con) == before
    assert {name for name, _ in before[1]} == {name for name, _ in statements("schema")} | {"public"}


def test_reading_a_fresh_home_migrates_it(home):
    assert sources(Warehouse(home)) == []


def test_several_processes_migrate_a_fresh_home_at_once(home):
    together = crashes.barrier(3)
    processes = [crashes.start(crashes.migrate, home, together) for _ in range(3)]
    assert [crashes.finish(process) for process in processes] == [0, 0, 0]
    assert sources(Warehouse(home)) == []


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_a_migration_that_was_killed_is_made_again(home, calls):
    """Before anything, after some statements, and before the public views."""
    place = ["duckdb:connect", f"{module.__name__}:_apply_migration", f"{module.__name__}:sha256_hex"][
        calls - 1
    ]
    killed = crashes.run(
        crashes.migrate, home, crashes.barrier(1), kill_at=place, calls=1 if calls < 3 else 2
    )
    assert killed == crashes.KILLED
    Warehouse(home).migrate()
    assert sources(Warehouse(home)) == []


def test_an_altered_migration_is_refused(warehouse, monkeypatch):
    warehouse.migrate()
    altered = [(name, text + "-- changed") for name, text in statements("schema")]
    real = module.statements
    monkeypatch.setattr(module, "statements", lambda f: altered if f == "schema" else real(f))
    with pytest.raises(StoreError, match=r"0001_store was applied as .* ships") as error:
        warehouse.migrate()
    assert "new home" in error.value.cure


def test_a_later_migration_is_applied_once(warehouse, monkeypatch):
    real = module.statements
    later = [*real("schema"), ("0002_more", "create table store.more(a integer);")]
    monkeypatch.setattr(module, "statements", lambda f: later if f == "schema" else real(f))
    warehouse.migrate()
    warehouse.migrate()
    with warehouse.read("test") as con:
        assert con.execute("select count(*) from store.more").fetchall() == [(0,)]


def test_a_failing_migration_leaves_nothing(warehouse, monkeypatch):
    real = module.statements
    later = [*real("schema"), ("0002_more", "create table store.more(a integer); select nonsense;")]
    monkeypatch.setattr(module, "statements", lambda f: later if f == "schema" else real(f))
    with pytest.raises(duckdb.Error):
        warehouse.migrate()
    monkeypatch.undo()
    with warehouse.read("test") as con:
        assert "more" not in [
            name for (name,) in con.execute("select table_name from duckdb_tables()").fetchall()
        ]


def test_an_error_rolls_the_whole_transaction_back(warehouse):
    with pytest.raises(KeyError), warehouse.write("test") as con:
        add_source(con, "lost")
        raise KeyError
    with pytest.raises(duckdb.ConstraintException, match="NOT NULL"), warehouse.write("test") as con:
        add_source(con, "lost")
        con.execute("insert into store.takedown values ('x', null, null, null)")
    assert sources(warehouse) == []


def test_the_first_error_is_shown_when_there_is_nothing_left_to_roll_back(warehouse):
    with pytest.raises(KeyError, match="the first"), warehouse.write("test") as con:
        con.execute("rollback")
        raise KeyError("the first")


def test_a_committed_write_is_read_by_plain_duckdb(warehouse):
    with warehouse.write("test") as con:
        add_source(con, "kept")
    with duckdb.connect(str(warehouse.home.warehouse), read_only=True) as plain:
        assert plain.execute("select source from store.source").fetchall() == [("kept",)]
        assert plain.execute("select count(*) from pool").fetchall() == [(0,)]


def test_storage_version_is_one_that_older_clients_read(warehouse):
    """64 to 68 are read by DuckDB 1.5; the default of 2.0 writes 999."""
    with warehouse.write("test") as con:
        add_source(con, "kept")
    version = int.from_bytes(warehouse.home.warehouse.read_bytes()[12:20], "little")
    assert 64 <= version <= 68


def test_a_reader_waits_for_the_writer_and_sees_what_it_wrote(warehouse):
    written = crashes.event()
    process = crashes.start(crashes.write_slowly, warehouse.home, written, 1.0)
    assert written.wait(60)
    began = time.monotonic()
    assert sources(warehouse) == ["slow"]
    assert time.monotonic() - began > 0.3
    assert crashes.finish(process) == 0


def test_a_reader_gives_up_naming_the_writer(warehouse):
    written = crashes.event()
    process = crashes.start(crashes.write_slowly, warehouse.home, written, 60)
    assert written.wait(60)
    with (
        pytest.raises(LockTimeoutError, match=rf"look: .*pid {process.pid} \(write slowly\)"),
        Warehouse(warehouse.home, deadline_s=0.1).read("look"),
    ):
        pass
    crashes.kill(process)
    assert sources(warehouse) == []


def test_readers_read_side_by_side(warehouse):
    with warehouse.read("one") as one, warehouse.read("two") as two:
        assert one.execute("select 1").fetchall() == two.execute("select 1").fetchall()


def test_reading_connections_cannot_write(warehouse):
    with warehouse.read("test") as con, pytest.raises(duckdb.InvalidInputException, match="read-only"):
        add_source(con, "no")


def test_an_unknown_statement_names_its_neighbours():
    with pytest.raises(Exception, match=r"no SQL file pool/nothing.*insert_turn"):
        statement("pool/nothing")
