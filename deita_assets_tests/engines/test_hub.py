"""Datasets of the hub in landing: what comes, what stays, what leaves, and what is refused."""

import gzip
import hashlib
import json
import os
import stat
from contextlib import contextmanager

import pytest

from deita_assets.core.hub_names import parse_hub_id
from deita_assets.engines import hub as hubs
from deita_assets.engines.landing import landing_files, landing_paths
from deita_assets.errors import HubError, NotFoundError, SourceFileError
from deita_assets_tests.engines.fake_hub import A, B, C, hub_id
from deita_assets_tests.readers.packing import jsonl

ROWS = [{"instruction": f"question {n}", "output": f"answer {n}"} for n in range(20)]
FIRST = {
    "train.jsonl": jsonl(ROWS[:10]),  # a large file of the hub: its sha256 is listed
    "small.json": b"[]",  # a small one: its git object is
    "data/part-0.jsonl": jsonl(ROWS[10:]),
    "README.md": b"# about",
    "load.py": b"raise SystemExit",
    ".gitattributes": b"x",
    "dataset_infos.json": b"{}",
}
READ = ["data/part-0.jsonl", "small.json", "train.jsonl"]


@pytest.fixture
def fetch(home, hub):
    """`fetch(revision, path)` into source `tea`."""
    hub.commits[A] = dict(FIRST)
    return lambda revision=A, path="", **options: hubs.fetch(
        home, "tea", parse_hub_id(hub_id(revision, path)), **options
    )


def stands(home):
    """What is part of the source now, as the ingest sees it."""
    folder = home.source_landing("tea")
    return {str(path.relative_to(folder)): path.read_bytes() for path in landing_paths(home, "tea")}


def record(home):
    return json.loads((home.source_landing("tea") / ".hub.json").read_bytes())


def hidden(home):
    return sorted(path.name for path in home.source_landing("tea").glob(".*"))


class TestWhatComes:
    def test_the_readable_files_of_the_commit_with_their_paths(self, home, hub, fetch):
        done = fetch()
        assert stands(home) == {path: FIRST[path] for path in READ}
        assert list(done.new) == READ
        assert not done.replaced
        assert not done.removed
        assert done.n_bytes == sum(len(FIRST[path]) for path in READ)
        assert hub.fetched() == READ

    def test_the_record_says_id_revision_sizes_and_checksums_and_is_no_part_of_the_source(self, home, fetch):
        fetch()
        written = record(home)
        assert written["hub"] == hub_id()
        assert written["revision"] == A
        assert written["complete"] is True
        assert [(one["path"], one["size"], one["sha256"]) for one in written["files"]] == [
            (path, len(FIRST[path]), hashlib.sha256(FIRST[path]).hexdigest()) for path in READ
        ]
        assert hidden(home) == [".hub.json"]

    @pytest.mark.parametrize(
        ("path", "wanted"),
        [
            ("/train.jsonl", ["train.jsonl"]),
            ("/data", ["data/part-0.jsonl"]),
            ("/data/", ["data/part-0.jsonl"]),
            ("/*.jsonl", ["data/part-0.jsonl", "train.jsonl"]),
            ("/data/part-?.jsonl", ["data/part-0.jsonl"]),
            ("/dataset_infos.json", ["dataset_infos.json"]),
        ],
    )
    def test_a_path_or_pattern_names_some_of_them(self, home, fetch, path, wanted):
        fetch(path=path)
        assert sorted(stands(home)) == wanted

    def test_packed_files_and_parquet_by_name(self, home, hub, fetch):
        names = ["a.jsonl.gz", "b.json.zst", "c.PARQUET", "d.ndjson"]
        hub.commits[A] = {
            name: gzip.compress(b"[]") for name in (*names, "e.parquet.gz", "f.csv", "g.jsonl.part")
        }
        fetch()
        assert sorted(stands(home)) == names

    def test_the_size_is_said_before_the_download(self, fetch):
        said = []
        fetch(path="/train.jsonl", say=said.append)
        assert len(said) == 1
        assert "1 of its files" in said[0]
        assert f"{len(FIRST['train.jsonl'])} bytes" in said[0]


class TestAgain:
    def test_the_same_id_asks_the_hub_nothing_and_moves_nothing(self, home, hub, fetch):
        fetch()
        everything = [*landing_paths(home, "tea"), home.source_landing("tea") / ".hub.json"]
        before = {path: path.stat().st_mtime_ns for path in everything}
        hub.asked.clear()
        done = fetch()
        assert not done.changed
        assert done.n_bytes == 0
        assert hub.asked == []
        assert {path: path.stat().st_mtime_ns for path in everything} == before

    def test_another_revision_fetches_what_differs_and_removes_what_it_has_not(self, home, hub, fetch):
        fetch()
        hub.commits[B] = {
            "train.jsonl": FIRST["train.jsonl"],
            "small.json": b"[1]",
            "new/x.jsonl": jsonl(ROWS[:1]),
        }
        hub.fetched()
        done = fetch(B)
        assert stands(home) == hub.commits[B]
        assert hub.fetched() == ["new/x.jsonl", "small.json"]
        assert (done.new, done.replaced, done.removed) == (
            ("new/x.jsonl",),
            ("small.json",),
            ("data/part-0.jsonl",),
        )
        assert not (home.source_landing("tea") / "data").exists()  # no empty folder is left

    def test_what_left_is_let_go_and_comes_out_of_that_list_when_it_comes_back(self, home, hub, fetch):
        fetch()
        assert hubs.let_go(home, "tea") == frozenset()
        hub.commits[B] = {"small.json": b"[1]"}
        fetch(B)
        old = {(path, hashlib.sha256(FIRST[path]).hexdigest()) for path in READ}
        assert hubs.let_go(home, "tea") == old
        fetch(A)
        assert stands(home) == {path: FIRST[path] for path in READ}
        assert hubs.let_go(home, "tea") == {("small.json", hashlib.sha256(b"[1]").hexdigest())}

    def test_another_path_of_the_same_commit_is_another_id(self, home, fetch):
        fetch()
        fetch(path="/data")
        assert sorted(stands(home)) == ["data/part-0.jsonl"]

    def test_a_file_that_somebody_deleted_comes_back(self, home, hub, fetch):
        fetch()
        (home.source_landing("tea") / "train.jsonl").unlink()
        hub.asked.clear()
        assert fetch().new == ("train.jsonl",)
        assert stands(home) == {path: FIRST[path] for path in READ}
        assert hub.fetched() == ["train.jsonl"]

    def test_a_file_that_somebody_withdrew_stays_away_until_it_is_asked_for(self, home, hub, fetch):
        fetch()
        away = home.withdrawn / "tea" / "train.jsonl"
        away.parent.mkdir(parents=True)
        (home.source_landing("tea") / "train.jsonl").rename(away)
        done = fetch()
        assert not done.changed
        assert done.withdrawn == ("train.jsonl",)
        hub.commits[B] = {**FIRST, "train.jsonl": jsonl(ROWS[3:9])}
        fetch(B)
        assert "train.jsonl" not in stands(home)
        fetch(B, withdrawn_too=True)
        assert stands(home)["train.jsonl"] == hub.commits[B]["train.jsonl"]
        hub.commits[C] = {**FIRST, "train.jsonl": jsonl(ROWS[2:4])}
        fetch(C)  # it is back, whatever copy of it still lies among the withdrawn
        assert stands(home)["train.jsonl"] == hub.commits[C]["train.jsonl"]

    def test_without_its_record_the_files_are_recognised(self, home, hub, fetch):
        fetch()
        (home.source_landing("tea") / ".hub.json").unlink()
        hub.fetched()
        done = fetch()
        assert not done.changed
        assert hub.fetched() == []
        assert record(home)["complete"] is True


class TestBesideFilesOfPeople:
    def test_they_stay(self, home, hub, fetch, land):
        land("tea", "mine.jsonl", ROWS[:1])
        land("tea", "data/mine.jsonl", ROWS[:1])
        fetch()
        hub.commits[B] = {"small.json": b"[]"}
        fetch(B)
        assert sorted(stands(home)) == ["data/mine.jsonl", "mine.jsonl", "small.json"]

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_one_in_the_place_of_a_file_of_the_hub_is_not_replaced(self, home, hub, fetch, land, when):
        if when == "after":
            fetch()
        land("tea", "train.jsonl", b"mine")
        hub.commits[B] = {**FIRST, "train.jsonl": jsonl(ROWS[:3])}
        for revision in (A, B):
            with pytest.raises(SourceFileError, match=r"train\.jsonl stands in the place.*Rename it"):
                fetch(revision)
        assert stands(home)["train.jsonl"] == b"mine"

    def test_one_that_was_changed_by_hand_is_not_removed(self, home, hub, fetch, land):
        fetch()
        land("tea", "train.jsonl", b"mine")
        hub.commits[B] = {"small.json": b"[]"}
        fetch(B)
        assert stands(home) == {"small.json": b"[]", "train.jsonl": b"mine"}

    def test_one_that_somebody_put_back_is_not_removed_again(self, home, hub, fetch, land):
        fetch()
        hub.commits[B] = {"small.json": b"[]"}
        fetch(B)
        land("tea", "train.jsonl", FIRST["train.jsonl"])
        fetch(B)
        hub.commits[C] = {"small.json": b"[2]"}
        fetch(C)
        assert sorted(stands(home)) == ["small.json", "train.jsonl"]

    def test_one_that_came_during_the_download_is_not_replaced(self, home, fetch, land, monkeypatch):
        during = _while_downloading(monkeypatch, lambda: land("tea", "train.jsonl", b"mine"))
        with during, pytest.raises(SourceFileError, match=r"train\.jsonl stands in the place"):
            fetch()
        assert stands(home) == {"train.jsonl": b"mine"}
        assert not (home.source_landing("tea") / ".hub.json").exists()

    def test_one_that_was_changed_during_the_download_is_not_removed(
        self, home, hub, fetch, land, monkeypatch
    ):
        fetch()
        hub.commits[B] = {"small.json": b"[2]"}
        with _while_downloading(monkeypatch, lambda: land("tea", "train.jsonl", b"mine")):
            assert "train.jsonl" not in fetch(B).removed
        assert stands(home) == {"small.json": b"[2]", "train.jsonl": b"mine"}

    def test_nothing_is_removed_where_a_link_leads(self, home, hub, fetch, tmp_path):
        hub.commits[B] = {"train.jsonl": FIRST["train.jsonl"]}
        hub.commits[C] = {**hub.commits[B], "deep/more.jsonl": jsonl(ROWS[:1])}
        fetch(C)
        deep, elsewhere = home.source_landing("tea") / "deep", tmp_path / "elsewhere"
        deep.rename(elsewhere)
        deep.symlink_to(elsewhere)
        fetch(B)
        assert (elsewhere / "more.jsonl").read_bytes() == jsonl(ROWS[:1])

    def test_an_equal_one_is_taken_for_the_hubs(self, home, hub, fetch, land):
        land("tea", "train.jsonl", FIRST["train.jsonl"])
        assert fetch(path="/train.jsonl").new == ()
        assert hub.fetched() == []

    def test_files_to_be_added_may_not_take_a_fetched_place(self, home, fetch, tmp_path):
        fetch()
        mine, same = tmp_path / "small.json", tmp_path / "train.jsonl"
        mine.write_bytes(b"[3]")
        same.write_bytes(FIRST["train.jsonl"])
        hubs.refuse_hub_places(home, "tea", [same, tmp_path / "else.json"])
        with pytest.raises(SourceFileError, match="Rename it"):
            hubs.refuse_hub_places(home, "tea", [mine])


@contextmanager
def _while_downloading(monkeypatch, act):
    """A person acts while files come in."""
    from deita_assets.engines import hub_fetch

    real = hub_fetch.download

    def download(*arguments):
        act()
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(hub_fetch, "download", download)
        yield


class _Killed(BaseException):
    pass


class TestKills:
    """A fetch that ends anywhere leaves the old files, or is completed by the next one, without the hub if it can."""

    @pytest.mark.parametrize("after", range(6))
    def test_between_any_two_changes_of_landing(self, home, hub, fetch, monkeypatch, after):
        from pathlib import Path

        fetch()
        hub.commits[B] = {"train.jsonl": jsonl(ROWS[:3]), "small.json": b"[1]", "new.jsonl": jsonl(ROWS[:1])}
        changes = 0

        def counted(real):
            def change(self, *arguments, **options):
                nonlocal changes
                if self.is_relative_to(home.landing):
                    if changes == after:
                        raise _Killed
                    changes += 1
                return real(self, *arguments, **options)

            return change

        with monkeypatch.context() as killing:
            killing.setattr(Path, "replace", counted(Path.replace))
            killing.setattr("deita_assets.engines.hub_fetch.remove", _counted_remove(counted))
            with pytest.raises(_Killed):
                fetch(B)
        between = stands(home)
        for path, content in between.items():  # whole files, old or new
            assert content in (FIRST.get(path), hub.commits[B].get(path))
        if after == 0:
            assert between == {path: FIRST[path] for path in READ}
        hub.asked.clear()
        if after > 0:
            hub.refusal = (500, "Down")  # everything was fetched: nothing is asked
        fetch(B)
        assert hub.fetched() == []
        assert stands(home) == hub.commits[B]
        assert hidden(home) == [".hub.json"]
        assert record(home)["complete"] is True
        old = {(path, hashlib.sha256(FIRST[path]).hexdigest()) for path in READ}
        assert hubs.let_go(home, "tea") == old

    def test_between_two_downloads_those_that_came_are_not_fetched_again(self, home, hub, fetch, monkeypatch):
        from deita_assets.engines import hub_fetch

        real, calls = hub_fetch.download, []

        def download(*arguments):
            if len(calls) == 2:
                raise _Killed
            calls.append(arguments)
            return real(*arguments)

        with monkeypatch.context() as killing:
            killing.setattr(hub_fetch, "download", download)
            with pytest.raises(_Killed):
                fetch()
        assert stands(home) == {}
        assert not (home.source_landing("tea") / ".hub.json").exists()
        first = hub.fetched()
        fetch()
        assert sorted([*first, *hub.fetched()]) == READ
        assert stands(home) == {path: FIRST[path] for path in READ}

    def test_back_to_the_old_id_after_a_kill_in_the_new_one(self, home, hub, fetch, monkeypatch):
        from deita_assets.engines import hub_fetch

        fetch()
        hub.commits[B] = {"train.jsonl": jsonl(ROWS[:3]), "new.jsonl": jsonl(ROWS[:1])}

        def remove(*arguments):
            raise _Killed

        with monkeypatch.context() as killing:
            killing.setattr(hub_fetch, "remove", remove)
            with pytest.raises(_Killed):
                fetch(B)
        assert "new.jsonl" in stands(home)
        fetch(A)
        assert stands(home) == {path: FIRST[path] for path in READ}

    def test_a_fetch_can_be_taken_back(self, home, hub, fetch):
        done = fetch()
        hubs.take_back(home, "tea", done)
        assert stands(home) == {}
        assert hidden(home) == []
        fetch(path="/train.jsonl")
        hub.commits[B] = {**FIRST, "small.json": b"[4]"}
        again = fetch(B)
        hubs.take_back(home, "tea", again)
        assert sorted(stands(home)) == ["train.jsonl"]
        assert hubs.hub_of(home, "tea") is None
        assert fetch(B).new == ("data/part-0.jsonl", "small.json")


def _counted_remove(counted):
    from deita_assets.engines import hub_fetch

    def remove(folder, path):
        return counted(lambda place: real(folder, path))(folder / path)

    real = hub_fetch.remove
    return remove


class TestTheHubFails:
    def test_offline_is_said_with_the_source_the_id_and_what_to_do(self, home, fetch, monkeypatch):
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(HubError) as refused:
            fetch()
        for part in ("'tea'", hub_id(), "HF_HUB_OFFLINE", "landing/tea/", "by hand"):
            assert part in str(refused.value)
        assert not home.source_landing("tea").exists()

    def test_offline_does_not_matter_once_everything_stands_there(self, home, fetch, monkeypatch):
        from huggingface_hub import constants

        fetch()
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        assert not fetch().changed

    def test_offline_between_listing_and_files(self, home, hub, fetch, monkeypatch):
        from huggingface_hub import constants

        fetch()
        (home.source_landing("tea") / "train.jsonl").unlink()
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(HubError, match="HF_HUB_OFFLINE"):
            fetch()

    def test_nobody_listens(self, home, monkeypatch, fetch):
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
        with pytest.raises(HubError, match="could not be fetched.*by hand"):
            fetch()

    @pytest.mark.parametrize(
        ("refusal", "kind", "said"),
        [
            ((404, "RepoNotFound"), NotFoundError, "no such dataset, or it is private"),
            ((401, "RepoNotFound"), NotFoundError, "HF_TOKEN"),
            ((403, "GatedRepo"), HubError, "gated"),
            ((401, ""), HubError, r"refuses \(401\).*HF_TOKEN"),
            ((403, ""), HubError, r"refuses \(403\)"),
            ((500, ""), HubError, "could not be fetched.*500"),
        ],
    )
    def test_refusals(self, home, hub, fetch, refusal, kind, said):
        hub.refusal = refusal
        with pytest.raises(kind, match=said) as refused:
            fetch()
        assert "'tea'" in str(refused.value)
        assert not home.source_landing("tea").exists()

    def test_no_such_commit(self, fetch):
        with pytest.raises(NotFoundError, match="no such commit.*commits/main"):
            fetch(C)

    def test_no_such_file_says_what_there_is(self, fetch):
        with pytest.raises(NotFoundError, match=r"no file that can be read.*train\.jsonl"):
            fetch(path="/nothing/*")
        with pytest.raises(NotFoundError, match="no file that can be read"):
            fetch(path="/load.py")

    def test_tokens_are_used_and_never_shown(self, home, hub, fetch, monkeypatch, caplog, capfd):
        monkeypatch.setenv("HF_TOKEN", "hf_verysecrettoken")
        said = []
        fetch(path="/train.jsonl", say=said.append)
        assert hub.authorizations == {"Bearer hf_verysecrettoken"}
        hub.refusal = (401, "")
        with pytest.raises(HubError) as refused:
            fetch()
        printed = capfd.readouterr()
        shown = [
            str(refused.value),
            repr(refused.value.__cause__),
            caplog.text,
            *said,
            printed.out,
            printed.err,
        ]
        kept = [path.read_text(errors="replace") for path in home.root.rglob("*") if path.is_file()]
        assert not [text for text in [*shown, *kept] if "verysecret" in text]


class TestTheHubLies:
    @pytest.mark.parametrize(
        "path",
        [
            "../x.jsonl",
            "/etc/x.jsonl",
            "a/../../x.jsonl",
            "a//x.jsonl",
            "a\\..\\x.jsonl",
            "./x.jsonl",
            "x\n.jsonl",
        ],
    )
    def test_paths_that_lead_out_are_refused(self, home, hub, fetch, path):
        hub.commits[A] = {"good.jsonl": FIRST["train.jsonl"], path: FIRST["train.jsonl"]}
        with pytest.raises(HubError, match="the hub lists a file"):
            fetch()
        assert hub.fetched() == []
        assert stands(home) == {}

    def test_odd_names_of_files_that_nobody_asked_for_do_not_matter(self, home, hub, fetch):
        hub.commits[A] = {**FIRST, "../x.txt": b"x", "\u3000.png": b"x", "../y.jsonl": b"x"}
        fetch(path="/train.jsonl")
        assert sorted(stands(home)) == ["train.jsonl"]

    def test_names_that_differ_in_case_alone_are_refused(self, home, hub, fetch):
        hub.commits[A] = {"Train.jsonl": b"[]", "train.jsonl": b"[]"}
        with pytest.raises(HubError, match="upper and lower case"):
            fetch()
        fetch(path="/Train.jsonl")
        assert sorted(stands(home)) == ["Train.jsonl"]

    @pytest.mark.parametrize("size", [None, -1, "12"])
    def test_a_listing_without_sizes_is_refused(self, hub, fetch, size):
        hub.edit_listing = lambda listing: _with(listing, size=size)
        with pytest.raises(HubError, match="without size"):
            fetch()

    def test_a_listing_of_another_commit_is_refused(self, hub, fetch):
        hub.edit_listing = lambda listing: {**listing, "sha": B}
        with pytest.raises(HubError, match="answered with commit"):
            fetch()

    def test_a_listing_that_is_none_is_refused(self, hub, fetch):
        hub.edit_listing = lambda listing: {"siblings": [{"size": 1}]}
        with pytest.raises(HubError, match="could not be fetched"):
            fetch()

    def test_more_than_the_disk_holds_is_not_even_begun(self, home, hub, fetch):
        hub.edit_listing = lambda listing: _with(listing, size=1 << 60)
        with pytest.raises(HubError, match="free.*Make room"):
            fetch()
        assert hub.fetched() == []
        assert stands(home) == {}

    def test_a_gigabyte_told_and_less_sent(self, home, hub, fetch):
        hub.sends["train.jsonl"] = (10**9, b"short")
        with pytest.raises(HubError, match="could not be fetched"):
            fetch(path="/train.jsonl")
        assert stands(home) == {}

    @pytest.mark.parametrize("path", ["train.jsonl", "small.json"])
    def test_other_content_than_listed(self, home, hub, fetch, path):
        other = b"y" * len(FIRST[path])
        hub.sends[path] = (len(other), other)
        with pytest.raises(HubError, match="other content than the hub lists"):
            fetch(path=f"/{path}")
        assert stands(home) == {}
        hub.sends.clear()
        fetch(path=f"/{path}")  # the false file is not taken for the real one
        assert stands(home) == {path: FIRST[path]}

    def test_an_endless_file_is_given_up(self, home, hub, fetch):
        hub.endless = True
        with pytest.raises(HubError, match=r"should have .* bytes, and .* came"):
            fetch(path="/train.jsonl")
        assert stands(home) == {}


def _with(listing, **facts):
    return {**listing, "siblings": [{**one, "lfs": None, **facts} for one in listing["siblings"]]}


class TestLinks:
    """Landing refuses links anyway; a fetch must not write through one before that."""

    @pytest.mark.parametrize("link", ["", "data", ".hub", "train.jsonl"])
    def test_nothing_is_written_through_one(self, home, fetch, tmp_path, link):
        outside = tmp_path / "outside"
        outside.mkdir()
        place = home.source_landing("tea") / link
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(outside / "x" if link == "train.jsonl" else outside)
        with pytest.raises(SourceFileError, match="links are refused|stands in the place"):
            fetch()
        assert list(outside.iterdir()) == []

    def test_a_file_in_the_place_of_a_folder(self, home, fetch, land):
        land("tea", "data", b"mine")
        with pytest.raises(SourceFileError, match="is no folder"):
            fetch()
        assert stands(home) == {"data": b"mine"}

    def test_fetched_files_are_regular_ones_that_the_source_takes(self, home, fetch):
        fetch()
        assert [file.uri for file in landing_files(home, "tea")] == sorted(
            READ, key=lambda path: ("/" in path, path)
        )
        assert all(stat.S_ISREG(path.lstat().st_mode) for path in landing_paths(home, "tea"))


class TestTheRecordIsNotTrusted:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"[]",
            b"{}",
            b'{"hub": "x", "complete": true, "files": [], "left": [["../../outside.txt", "0"]]}',
            b'{"hub": "x", "complete": true, "files": [{"path": "/etc/x", "size": 1}], "left": []}',
        ],
    )
    def test_a_broken_one_is_said(self, home, fetch, content):
        folder = home.source_landing("tea")
        folder.mkdir()
        (folder / ".hub.json").write_bytes(content)
        with pytest.raises(SourceFileError, match="is no record of a fetch.*Remove it"):
            fetch()
        hubs.hub_state(home, "tea", hub_id())  # noticing does not fail

    def test_staleness_sees_id_and_fetch(self, home, fetch):
        seen = [hubs.hub_state(home, "tea", hub_id())]
        fetch()
        seen.append(hubs.hub_state(home, "tea", hub_id()))
        seen.append(hubs.hub_state(home, "tea", hub_id(B)))
        assert len({json.dumps(one) for one in seen}) == 3
        os.utime(home.source_landing("tea") / ".hub.json")
        assert hubs.hub_state(home, "tea", hub_id(A.upper())) == seen[1]
