"""Files taken out of landing by hand: none lost, none written over, and their rows go whatever the guard thinks."""

import os

import pytest

from deita_assets.engines.ingest import SourceReading, ingest_source
from deita_assets.engines.landing import copy_into_landing
from deita_assets.engines.withdrawal import chosen_files, move_out, put_back, withdrawable
from deita_assets.errors import NotFoundError
from deita_assets.stores import pool
from deita_assets_tests import crashes
from deita_assets_tests.engines.rows import pool_version, rows_of, sample_id


@pytest.fixture
def source(warehouse, land):
    """a.jsonl with rows 0 to 5, b.jsonl with 4 to 9, c.jsonl with 10; three quarters of the rows are in a and b."""
    land("s", "a.jsonl", rows_of(range(6)))
    land("s", "b.jsonl", rows_of(range(4, 10)))
    land("s", "c.jsonl", rows_of([10]))
    ingest_source(warehouse, "s")
    return warehouse


def live(warehouse):
    with warehouse.read("test") as con:
        return pool.live_files(con, "s")


def held(warehouse):
    with warehouse.read("test") as con:
        return {int(n) for n in _numbers(con)}


def _numbers(con):
    by_id = {sample_id("s", n): n for n in range(50)}
    return [by_id[row] for row in pool.rows_in_pool(con, "s")]


def there(warehouse):
    return withdrawable(warehouse.home, "s", live(warehouse))


def texts(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def by_hand(*uris):
    return SourceReading(by_hand=frozenset(uris))


def test_rows_that_another_file_holds_stay(source):
    with source.read("test") as con:
        leaving, staying = pool.rows_of_files(con, "s", ["a.jsonl"])
    assert set(leaving) == {sample_id("s", n) for n in range(4)}
    assert set(staying) == {sample_id("s", n) for n in (4, 5)}
    move_out(source.home, "s", ["a.jsonl"])
    report = ingest_source(source, "s", by_hand("a.jsonl"))
    assert (report.n_withdrawn, report.n_withheld, report.n_pool) == (4, 0, 7)
    assert held(source) == set(range(4, 11))


def test_there_and_back_gives_the_old_version(source):
    moved = move_out(source.home, "s", ["a.jsonl", "b.jsonl", "c.jsonl"])
    report = ingest_source(source, "s", by_hand("a.jsonl", "b.jsonl", "c.jsonl"))
    assert (report.n_pool, report.n_withdrawn, report.pool_version) == (0, 11, pool_version([]))
    copy_into_landing(source.home, "s", [one.path for one in moved])
    assert ingest_source(source, "s").pool_version == pool_version(range(11))
    assert set(texts(source.home.withdrawn / "s")) == {"a.jsonl", "b.jsonl", "c.jsonl"}  # copied, not moved


def test_nothing_that_was_withdrawn_is_written_over(source, land):
    first = texts(source.home.source_landing("s"))["a.jsonl"]
    move_out(source.home, "s", ["a.jsonl"])
    land("s", "a.jsonl", rows_of([20]))
    second = texts(source.home.source_landing("s"))["a.jsonl"]
    (moved,) = move_out(source.home, "s", ["a.jsonl"])
    assert moved.path.name != "a.jsonl"
    assert moved.path.suffix == ".jsonl"
    assert moved.path.parent == source.home.withdrawn / "s"
    for again in (first, second):
        land("s", "a.jsonl", again)
        move_out(source.home, "s", ["a.jsonl"])
        assert sorted(texts(source.home.withdrawn / "s").values()) == sorted([first, second])


def test_files_in_folders_keep_their_places(source, land):
    land("s", "deep/er/x.tar.jsonl", rows_of([30]))
    (moved,) = move_out(source.home, "s", ["deep/er/x.tar.jsonl"])
    assert moved.path == source.home.withdrawn / "s" / "deep" / "er" / "x.tar.jsonl"
    land("s", "deep/er/x.tar.jsonl", rows_of([31]))
    (other,) = move_out(source.home, "s", ["deep/er/x.tar.jsonl"])
    assert other.path.parent == moved.path.parent
    assert other.path.name.startswith("x-")
    assert other.path.name.endswith(".tar.jsonl")


def test_landing_on_another_file_system(source, monkeypatch):
    def other_device(self, target):
        if ".part" not in self.name:
            raise OSError(18, "Invalid cross-device link")
        return os.replace(self, target)  # noqa: PTH105 - the method is the one replaced

    before = texts(source.home.source_landing("s"))
    monkeypatch.setattr("pathlib.Path.replace", other_device)
    moved = move_out(source.home, "s", ["a.jsonl", "b.jsonl"])
    assert texts(source.home.withdrawn / "s") == {name: before[name] for name in ("a.jsonl", "b.jsonl")}
    assert put_back(source.home, "s", moved) == []
    assert texts(source.home.source_landing("s")) == before
    assert texts(source.home.withdrawn / "s") == {}


def test_a_place_that_was_taken_meanwhile_is_left_alone(source, land):
    moved = move_out(source.home, "s", ["a.jsonl", "c.jsonl"])
    land("s", "a.jsonl", rows_of([40]))
    assert [one.uri for one in put_back(source.home, "s", moved)] == ["a.jsonl"]
    assert set(texts(source.home.withdrawn / "s")) == {"a.jsonl"}
    assert set(texts(source.home.source_landing("s"))) == {"a.jsonl", "b.jsonl", "c.jsonl"}


def test_files_are_named_by_uri_or_path(source, land, monkeypatch):
    land("s", "deep/x.jsonl", rows_of([30]))
    files = there(source)
    assert files == ["a.jsonl", "b.jsonl", "c.jsonl", "deep/x.jsonl"]
    folder = source.home.source_landing("s")
    for name in ("deep/x.jsonl", str(folder / "deep" / "x.jsonl")):
        assert chosen_files(source.home, "s", [name, "a.jsonl", name], files) == ["a.jsonl", "deep/x.jsonl"]
    monkeypatch.chdir(folder / "deep")
    assert chosen_files(source.home, "s", ["x.jsonl"], files) == ["deep/x.jsonl"]
    assert chosen_files(source.home, "s", [], files) == files
    with pytest.raises(NotFoundError, match=r"'s' holds no file nope\.jsonl, \.\./b\.jsonl") as error:
        chosen_files(source.home, "s", ["nope.jsonl", "a.jsonl", "../b.jsonl"], files)
    assert error.value.cure == "In landing/s/: a.jsonl, b.jsonl, c.jsonl, deep/x.jsonl."
    with pytest.raises(NotFoundError, match="'t': .* holds no file") as error:
        chosen_files(source.home, "t", [], [])
    assert "Sources in landing: s." in error.value.cure


def test_what_nobody_withdrew_is_held_back_beside_what_somebody_did(source):
    """a.jsonl was withdrawn; b.jsonl, with four more rows of the eleven, left nobody knows how."""
    move_out(source.home, "s", ["a.jsonl"])
    (source.home.source_landing("s") / "b.jsonl").unlink()
    report = ingest_source(source, "s", by_hand("a.jsonl"))
    assert (report.n_withdrawn, report.n_withheld, report.changed) == (4, 6, True)
    assert held(source) == set(range(4, 11))
    assert {uri for uri, _ in live(source)} == {"b.jsonl", "c.jsonl"}
    again = ingest_source(source, "s")
    assert (again.n_withheld, again.changed, again.pool_version) == (6, False, report.pool_version)
    assert ingest_source(source, "s", SourceReading(accept_removals=True)).n_pool == 1


def test_a_file_whose_rows_all_stay_is_gone_though_another_removal_waits(source, land):
    land("s", "copy.jsonl", rows_of(range(6)))
    ingest_source(source, "s")
    move_out(source.home, "s", ["copy.jsonl"])
    (source.home.source_landing("s") / "b.jsonl").unlink()
    report = ingest_source(source, "s", by_hand("copy.jsonl"))
    assert (report.n_withdrawn, report.n_withheld) == (0, 4)
    assert {uri for uri, _ in live(source)} == {"a.jsonl", "b.jsonl", "c.jsonl"}


def test_a_small_removal_beside_a_withdrawal_is_followed(source):
    move_out(source.home, "s", ["a.jsonl"])
    (source.home.source_landing("s") / "c.jsonl").unlink()
    report = ingest_source(source, "s", by_hand("a.jsonl"))
    assert (report.n_withdrawn, report.n_withheld, report.n_pool) == (5, 0, 6)
    assert {uri for uri, _ in live(source)} == {"b.jsonl"}


def test_landing_that_vanished_is_no_withdrawal(source):
    """Nothing was moved, so there is nothing to go on with, and the guard holds every row."""
    for path in source.home.source_landing("s").iterdir():
        path.unlink()
    assert there(source) == []
    assert ingest_source(source, "s").n_withheld == 11


@pytest.mark.parametrize("calls", [1, 2, 3])
def test_killed_while_it_moves_the_next_one_goes_on(source, calls):
    """Rows are held by the guard until then, and what was moved counts as withdrawn by hand."""
    before = texts(source.home.source_landing("s"))
    files = ["a.jsonl", "b.jsonl"]
    place = "deita_assets.engines.withdrawal:_move"
    code = crashes.run(crashes.move_out, source.home, "s", files, kill_at=place, calls=calls)
    assert code == (crashes.KILLED if calls < 3 else 0)
    assert texts(source.home.source_landing("s")) | texts(source.home.withdrawn / "s") == before
    held_back = ingest_source(source, "s")
    assert (held_back.n_pool, held_back.n_withheld) == (11, [0, 4, 10][calls - 1])
    assert there(source) == ["a.jsonl", "b.jsonl", "c.jsonl"]
    uris = chosen_files(source.home, "s", files, there(source))
    move_out(source.home, "s", uris)
    report = ingest_source(source, "s", by_hand(*uris))
    assert (report.n_pool, report.n_withheld) == (1, 0)
    assert there(source) == ["c.jsonl"]
    assert texts(source.home.source_landing("s")) | texts(source.home.withdrawn / "s") == before
