"""Upkeep of a home: no version, ledger or live process notices it."""

import shutil

import pytest

from deita_assets.engines.compact import compact_home
from deita_assets.engines.select import deepen
from deita_assets.errors import LockTimeoutError
from deita_assets.stores import ledgers
from deita_assets.stores.home import Home
from deita_assets.stores.lance_upkeep import table_names
from deita_assets.stores.lock import file_lock
from deita_assets.stores.serving import publish
from deita_assets.stores.vectors import EmbeddingTable
from deita_assets.stores.warehouse import Warehouse
from deita_assets_tests.conftest import Landing
from deita_assets_tests.engines.scopes import Scoped


@pytest.fixture(scope="module")
def template(tmp_path_factory, migrated):
    """Two sources, ledgers of one and of both, cut short of their end."""
    home = Home(tmp_path_factory.mktemp("compact")).create()
    shutil.copyfile(migrated, home.warehouse)
    made = Scoped(Warehouse(home), Landing(home))
    made.random_source("a", "spread", 60, 1)
    made.random_source("b", "clusters", 60, 2)
    for sources in (("a",), ("a", "b")):
        ledger = made.ledger(*sources, name="-".join(sources), threshold=0.6, budget=5)
        made.subset(ledger, 4)
    return made


@pytest.fixture
def scoped(template, tmp_path):
    return template.copied(tmp_path)


def all_ledgers(scoped):
    ids = [row[0] for row in scoped.query("select ledger_id from store.ledger order by 1")]
    with scoped.warehouse.read("test") as con:
        return [ledgers.find_ledger(con, each) for each in ids]


def files(home):
    return {str(path): path.read_bytes() for path in home.subsets.rglob("*") if path.is_file()}


def deepened(scoped):
    """The rows of every ledger after its pass was taken to the end."""
    return {
        ledger.ledger_id: scoped.rows(deepen(scoped.warehouse, ledger, None))
        for ledger in all_ledgers(scoped)
    }


def test_ledgers_go_on_and_subsets_are_cut_as_without_it(scoped, template, tmp_path):
    other = template.copied(tmp_path / "untouched")
    before = files(scoped.home)
    done = compact_home(scoped.warehouse, keep_hours=0)
    assert {one.name for one in done.tables} == set(table_names(scoped.home))
    assert all(one.after.n_fragments == one.after.n_versions == 1 for one in done.tables)
    for ledger in all_ledgers(scoped):
        assert not scoped.subset(ledger, 4).new
    assert files(scoped.home) == before
    assert deepened(scoped) == deepened(other)
    shutil.rmtree(scoped.home.subsets)
    for ledger in all_ledgers(scoped):
        scoped.subset(ledger, 4)
    kept = {name: text for name, text in files(scoped.home).items() if "provenance" not in name}
    assert kept == {name: text for name, text in before.items() if "provenance" not in name}


def test_a_pass_that_began_before_ends_the_same(scoped, template, tmp_path, monkeypatch):
    """Compacted, and every older edition dropped, between two stretches of a pass."""
    other = template.copied(tmp_path / "untouched")
    ledger = all_ledgers(scoped)[0]
    taken = EmbeddingTable._take
    calls = []

    def take(self, row_ids):
        if not calls:
            compact_home(scoped.warehouse, keep_hours=0)
        calls.append(len(row_ids))
        return taken(self, row_ids)

    monkeypatch.setattr(EmbeddingTable, "_take", take)
    monkeypatch.setattr("deita_assets.stores.ordered_vectors.STRETCH_ROWS", 7)
    rows = scoped.rows(deepen(scoped.warehouse, ledger, None))
    assert len(calls) > 1
    monkeypatch.undo()
    assert rows == deepened(other)[ledger.ledger_id]


def test_a_dry_run_changes_nothing(scoped):
    (scoped.home.staging / "a-0123456789ab").mkdir()
    done = compact_home(scoped.warehouse, dry_run=True)
    assert [one.after for one in done.tables] == [None, None]
    assert [left.path.name for left in done.leftovers] == ["a-0123456789ab"]
    assert done.warehouse_after is None
    assert [one.before for one in compact_home(scoped.warehouse, dry_run=True).tables] == [
        one.before for one in done.tables
    ]
    assert (scoped.home.staging / "a-0123456789ab").is_dir()


def leave_behind(home):
    """What kills leave: (path, the lock of whoever would still be at work on it)."""
    places = {
        home.subsets / "source" / "a" / "3" / ".new-0123": home.locks / "subset-source-a-3.lock",
        home.subsets / "mixture" / "a-b" / "5" / ".new-4567": home.locks / "subset-mixture-a-b-5.lock",
        home.staging / "a-0123456789ab": home.locks / "ingest-a.lock",
        home.staging / "b-2-ba9876543210": home.locks / "ingest-b-2.lock",
    }
    for path in places:
        path.mkdir(parents=True)
        (path / "part").write_bytes(b"x" * 100)
    copy = home.root / ".serving.duckdb.new-0123456789ab"
    copy.write_bytes(b"x" * 200)
    return places | {copy: home.warehouse_lock}


def test_leftovers_go_and_nothing_else(scoped):
    home = scoped.home
    publish(home)
    for name in ("other", "a-short"):
        (home.staging / name).mkdir()
    before = {path for path in home.root.rglob("*") if home.lance not in path.parents}
    left = leave_behind(home)
    done = compact_home(scoped.warehouse)
    assert {one.path: one.n_bytes for one in done.leftovers} == {
        path: 200 if path.name.startswith(".serving") else 100 for path in left
    }
    after = {path for path in home.root.rglob("*") if home.lance not in path.parents}
    assert before - after == set()
    assert {path for path in after - before if home.locks not in path.parents and path != home.locks} <= {
        home.root / "warehouse.lock", *(path.parent for path in left),
    }  # fmt: skip


def test_what_a_live_process_is_at_work_on_stays(scoped):
    left = leave_behind(scoped.home)
    for path, lock in left.items():
        if lock == scoped.home.warehouse_lock:
            continue  # the checkpoint waits for it
        with file_lock(lock, "at work"):
            done = compact_home(scoped.warehouse, dry_run=True)
        assert {one.path for one in done.leftovers} == set(left) - {path}


def test_one_upkeep_at_a_time(scoped):
    with (
        file_lock(scoped.home.locks / "compact.lock", "compact"),
        pytest.raises(LockTimeoutError, match="compact"),
    ):
        compact_home(scoped.warehouse)


def test_a_home_without_stores(home):
    done = compact_home(Warehouse(home))
    assert (done.tables, done.leftovers, done.warehouse_before) == ([], [], None)
    assert not home.warehouse.exists()


def test_the_log_of_the_warehouse_goes_into_its_file(scoped):
    from deita_assets_tests import crashes

    assert crashes.run(crashes.commit_and_die, scoped.home) == crashes.KILLED
    done = compact_home(scoped.warehouse)
    assert done.warehouse_before.wal_bytes > 0
    assert done.warehouse_after.wal_bytes == 0
    assert scoped.query("select count(*) from store.source where source = 'logged'") == [(1,)]
