"""`withdraw`: what it says, what it leaves, and how to go on when it was cut off."""

import json
import shutil

import pytest

from deita_assets.cli import main
from deita_assets.engines.withdrawal import move_out
from deita_assets.stores.home import Home
from deita_assets_tests.cli.commands import chat, write_jsonl


class Here:
    """The command line in this process."""

    def __init__(self, home, capsys):
        self.home, self.capsys = home, capsys

    def __call__(self, *arguments, code=0, as_json=True):
        with pytest.raises(SystemExit) as ended:
            main(["--home", str(self.home.root), *arguments, *(["--json"] if as_json else [])])
        printed = self.capsys.readouterr()
        assert ended.value.code == code, printed
        self.err = printed.err
        return json.loads(printed.out) if as_json else printed.out


_MADE = []


@pytest.fixture
def here(tmp_path, tmp_path_factory, capsys):
    """Source `tea` of two files: rows 0 to 3, and 3 to 9. Added once, and copied for each test."""
    rows = [chat(f"question {n}", f"answer {n}") for n in range(10)]
    files = [write_jsonl(tmp_path / "a.jsonl", rows[:4]), write_jsonl(tmp_path / "b.jsonl", rows[3:])]
    if not _MADE:
        first = Here(Home(tmp_path_factory.mktemp("added") / "home"), capsys)
        _MADE.append((first.home.root, first("add", "tea", *map(str, files))))
    made, report = _MADE[0]
    run = Here(Home(tmp_path / "home"), capsys)
    shutil.copytree(made, run.home.root)
    run.first = report
    return run


def landed(here):
    return sorted(path.name for path in here.home.source_landing("tea").iterdir())


def withdrawn(here):
    return sorted(path.name for path in here.home.withdrawn.rglob("*") if path.is_file())


def rows(here):
    return here("sql", "select count(*) as n from pool")[0]["n"]


def test_there_and_back_again(here):
    seen = here("withdraw", "tea", "b.jsonl", "--dry-run")
    assert (seen["rows_left"], seen["rows_staying"], landed(here)) == (6, 1, ["a.jsonl", "b.jsonl"])
    done = here("withdraw", "tea", "b.jsonl")
    assert (done["rows_left"], done["rows_staying"]) == (6, 1)
    assert done["files"] == [{"file": "b.jsonl", "moved_to": str(here.home.withdrawn / "tea" / "b.jsonl")}]
    assert (done["pool"]["in_pool"], done["pool"]["withheld_files"]) == (4, [])
    assert (landed(here), withdrawn(here), rows(here)) == (["a.jsonl"], ["b.jsonl"], 4)
    again = here("add", "tea", str(here.home.withdrawn / "tea"))
    assert again == here.first


def test_a_whole_source(here):
    done = here("withdraw", "tea", as_json=False)
    assert "10 rows left the pool, 0 stay" in done
    assert f"deita-assets add tea {here.home.withdrawn / 'tea'}" in done
    assert rows(here) == 0
    assert "holds no file" in here("withdraw", "tea", code=1)["message"]


def test_what_is_not_there(here):
    wrong = here("withdraw", "tea", "c.jsonl", code=1)
    assert (wrong["message"], wrong["cure"]) == (
        "source 'tea' holds no file c.jsonl.", "In landing/tea/: a.jsonl, b.jsonl.",
    )  # fmt: skip
    assert "tea" in here("withdraw", "coffee", code=1)["cure"]
    assert here("withdraw", "../tea", code=2)["error"] == "InvalidNameError"
    assert not here.home.source_landing("coffee").exists()


def test_when_the_ingest_fails_the_files_go_back(here):
    broken = here.home.source_landing("tea") / "c.parquet"
    broken.write_bytes(b"PAR1 but no more")
    assert "c.parquet" in here("withdraw", "tea", "b.jsonl", code=1)["message"]
    assert "1 files were put back" in here.err
    assert (landed(here), withdrawn(here), rows(here)) == (["a.jsonl", "b.jsonl", "c.parquet"], [], 10)
    assert here("withdraw", "tea", "c.parquet")["rows_left"] == 0  # what cannot be read can be taken out


def test_cut_off_between_moving_and_ingest(here):
    move_out(here.home, "tea", ["b.jsonl"])
    here("status")
    assert "deita-assets withdraw tea b.jsonl" in here.err
    here("add", "tea")
    assert "a withdrawal was cut off" in here.err
    assert rows(here) == 10
    assert here("withdraw", "tea", "b.jsonl")["rows_left"] == 6
    assert (landed(here), withdrawn(here), rows(here)) == (["a.jsonl"], ["b.jsonl"], 4)


@pytest.mark.slow
def test_a_removal_of_another_kind_has_its_own_cure(here):
    (here.home.source_landing("tea") / "b.jsonl").unlink()
    here("add", "tea")
    assert "--accept-removals" in here.err
    assert "holds no file b.jsonl" in here("withdraw", "tea", "b.jsonl", code=1)["message"]


def test_cut_off_before_it_published_the_next_one_publishes(here, monkeypatch):
    from deita_assets.defs.automation.curation import Curation

    with monkeypatch.context() as killed:
        killed.setattr(Curation, "serving", lambda self: None)
        here("withdraw", "tea")
    assert rows(here) == 10
    assert "holds no file" in here("withdraw", "tea", code=1)["message"]
    assert rows(here) == 0
