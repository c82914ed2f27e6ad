import os

import pytest

from deita_assets.engines.landing import (
    copy_into_landing,
    landing_files,
    landing_paths,
    landing_state,
    source_names,
)
from deita_assets.errors import InvalidNameError, NotFoundError, SourceFileError
from deita_assets.stores.pool import LandingFile


def names(home, source="s"):
    folder = home.source_landing(source)
    return [str(path.relative_to(folder)) for path in landing_paths(home, source)]


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "a.jsonl").write_text("secret")
    return folder


def test_files_in_name_order_with_their_hash(home, land):
    for name in ("b.jsonl", "a.jsonl", "deep/er/c.json"):
        land("s", name, b"abc")
    sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert landing_files(home, "s") == [
        LandingFile(name, sha, 3) for name in ("a.jsonl", "b.jsonl", "deep/er/c.json")
    ]


def test_hidden_and_unfinished_files_are_no_part_of_a_source(home, land):
    unfinished = ["x.tmp", "x.part", "x.partial", "x.crdownload", "x.swp", ".x.jsonl", ".git/x.jsonl", "d/.x"]
    for name in [*unfinished, "ok.jsonl"]:
        land("s", name, b"abc")
    assert names(home) == ["ok.jsonl"]


def test_a_source_without_folder_is_empty(home):
    assert names(home) == []
    assert landing_state(home, "s") == landing_state(home, "t")


@pytest.mark.parametrize("name", ["a.jsonl", "deep/a.jsonl"])
@pytest.mark.parametrize("kind", ["file", "folder", "nowhere", "fifo"])
def test_what_is_no_regular_file_is_refused(home, land, outside, name, kind):
    land("s", "ok.jsonl", b"abc")
    path = land.path("s", name)
    path.parent.mkdir(exist_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to({"file": outside / "a.jsonl", "folder": outside, "nowhere": outside / "none"}[kind])
    for look in (landing_paths, landing_files, landing_state):
        with pytest.raises(SourceFileError, match=name):
            look(home, "s")


def test_a_source_folder_that_is_a_link_is_refused(home, outside):
    home.source_landing("s").symlink_to(outside)
    with pytest.raises(SourceFileError, match="symbolic link"):
        landing_paths(home, "s")


def test_a_name_that_no_store_can_hold_is_refused(home, land):
    land("s", "ok.jsonl", b"abc")
    with open(os.fsencode(home.source_landing("s")) + b"/bad\xff.jsonl", "wb") as out:  # noqa: PTH123 - bytes
        out.write(b"abc")
    with pytest.raises(SourceFileError, match=r"'bad\\udcff\.jsonl' is no UTF-8"):
        landing_files(home, "s")


def test_odd_names_are_files_like_others(home, land):
    odd = [
        "it's.jsonl",
        "a b;c.jsonl",
        "new\nline.jsonl",
        "ünï-\U0001f600.jsonl",
        "..x.jsonl"[1:],
        "--x.jsonl",
    ]
    for name in odd:
        land("s", name, b"abc")
    assert sorted(names(home)) == sorted(name for name in odd if not name.startswith("."))


def test_a_file_that_leaves_while_it_is_hashed_is_told(home, land, monkeypatch):
    from deita_assets.engines import landing

    path = land("s", "a.jsonl", b"abc")
    real = landing.landing_paths
    monkeypatch.setattr(landing, "landing_paths", lambda *a: [real(*a)[0], path.with_name("gone.jsonl")])
    with pytest.raises(SourceFileError, match=r"gone\.jsonl: No such file"):
        landing_files(home, "s")
    state = landing_state(home, "s")
    monkeypatch.undo()
    assert landing_state(home, "s") == state


def test_state_changes_with_names_sizes_and_times_only(home, land):
    path = land("s", "a.jsonl", b"abc")
    states = [landing_state(home, "s")]
    assert landing_state(home, "s") == states[0]
    path.write_bytes(b"abcd")
    states.append(landing_state(home, "s"))
    os.utime(path, ns=(1, 1))
    states.append(landing_state(home, "s"))
    path.rename(path.with_name("b.jsonl"))
    states.append(landing_state(home, "s"))
    land("s", ".hidden", b"")
    assert landing_state(home, "s") == states[-1]
    assert len(set(states)) == 4


@pytest.mark.parametrize("source", ["..", "../x", "a/b", "", "all", "A"])
def test_names_that_lead_elsewhere(home, source, outside):
    for look in (landing_paths, landing_files, lambda h, s: copy_into_landing(h, s, [outside / "a.jsonl"])):
        with pytest.raises(InvalidNameError):
            look(home, source)
    assert list(home.landing.iterdir()) == []


def test_source_names_are_the_valid_folders(home, land):
    for name in ("b", "a-1", "Bad", "all", ".hidden"):
        (home.landing / name).mkdir()
    (home.landing / "file").write_text("")
    assert source_names(home) == ["a-1", "b"]
    home.landing.rename(home.landing.with_name("elsewhere"))
    assert source_names(home) == []


def test_copying_files_and_folders(home, outside):
    (outside / ".hidden").write_text("")
    (outside / "b.jsonl").write_text("more")
    (outside / "deep").mkdir()
    copied = copy_into_landing(home, "s", [outside, outside / "a.jsonl"])
    assert names(home) == ["a.jsonl", "b.jsonl"]
    assert sorted({landed.path.name for landed in copied}) == ["a.jsonl", "b.jsonl"]
    assert (home.source_landing("s") / "a.jsonl").read_text() == "secret"
    assert len(list(home.source_landing("s").iterdir())) == 2  # no partial copies


def test_copying_the_same_again_touches_nothing(home, outside):
    copy_into_landing(home, "s", [outside])
    state = landing_state(home, "s")
    copy_into_landing(home, "s", [outside, home.source_landing("s") / "a.jsonl"])
    assert landing_state(home, "s") == state


def test_a_new_edition_of_a_file_replaces_the_old_one(home, outside):
    copy_into_landing(home, "s", [outside])
    (outside / "a.jsonl").write_text("second edition")
    (landed,) = copy_into_landing(home, "s", [outside / "a.jsonl"])
    assert landed.path.read_text() == "second edition"
    assert landed.state == "replaced"


def test_names_that_landing_ignores_are_refused_not_swallowed(home, outside):
    (outside / "b.jsonl.part").write_text("half")
    with pytest.raises(SourceFileError, match="unfinished"):
        copy_into_landing(home, "s", [outside / "b.jsonl.part"])
    assert {landed.path.name for landed in copy_into_landing(home, "s", [outside])} == {"a.jsonl"}


def test_two_files_of_one_name_do_not_swallow_each_other(home, outside, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.jsonl").write_text("different")
    with pytest.raises(SourceFileError, match="one name and different content"):
        copy_into_landing(home, "s", [outside, other])
    assert names(home) == []
    (other / "a.jsonl").write_text("secret")
    assert len(copy_into_landing(home, "s", [outside, other])) == 2


def test_a_copied_link_becomes_a_file(home, outside, tmp_path):
    (tmp_path / "link.jsonl").symlink_to(outside / "a.jsonl")
    copy_into_landing(home, "s", [tmp_path / "link.jsonl"])
    assert not (home.source_landing("s") / "link.jsonl").is_symlink()
    assert names(home) == ["link.jsonl"]


def test_paths_that_do_not_exist(home, outside):
    with pytest.raises(NotFoundError, match="no such file"):
        copy_into_landing(home, "s", [outside / "a.jsonl", outside / "none"])
    assert names(home) == []
