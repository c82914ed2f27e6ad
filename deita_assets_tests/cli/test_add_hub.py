"""`add SOURCE hf://...`: what it fetches, says and refuses, and what becomes of the pool."""

import json

import pytest

from deita_assets.cli import main
from deita_assets.stores.home import Home
from deita_assets_tests.cli.commands import chat, write_jsonl
from deita_assets_tests.engines.fake_hub import A, B, hub_id
from deita_assets_tests.readers.packing import jsonl

ROWS = [chat(f"question {n}", f"answer {n}") for n in range(20)]


@pytest.fixture
def here(tmp_path, capsys, hub):
    """The command line in this process; revision A has 20 rows in two files."""
    hub.commits[A] = {"train.jsonl": jsonl(ROWS[:15]), "data/more.jsonl": jsonl(ROWS[15:])}
    home = Home(tmp_path / "home")

    def run(*arguments, code=0):
        with pytest.raises(SystemExit) as ended:
            main(["--home", str(home.root), *arguments, "--json"])
        printed = capsys.readouterr()
        assert ended.value.code == code, printed
        run.err = printed.err
        return json.loads(printed.out)

    run.home = home
    return run


@pytest.mark.slow
def test_fetches_ingests_and_lets_a_newer_revision_take_most_rows_away(here, hub):
    first = here("add", "tea", hub_id(), "--licence", "MIT")
    assert (first["in_pool"], first["quarantined"]) == (20, 0)
    assert first["hub"] == {
        "id": hub_id(),
        "new": ["data/more.jsonl", "train.jsonl"],
        "replaced": [],
        "removed": [],
        "bytes": sum(map(len, hub.commits[A].values())),
    }
    assert "fetching 2 of its files" in here.err

    # A file that was withdrawn comes back, because it is asked for.
    here("withdraw", "tea", "data/more.jsonl")
    again = here("add", "tea", hub_id())
    assert again["hub"]["new"] == ["data/more.jsonl"]
    assert again["pool_version"] == first["pool_version"]

    # 18 of 20 rows leave: more than the guard lets go unasked, and a newer revision has been asked for.
    hub.commits[B] = {"train.jsonl": jsonl(ROWS[:2])}
    newer = here("add", "tea", hub_id(B))
    assert (newer["in_pool"], newer["withheld_files"]) == (2, [])
    assert (newer["hub"]["replaced"], newer["hub"]["removed"]) == (["train.jsonl"], ["data/more.jsonl"])


def test_the_dry_run_lists_files_and_sizes_and_fetches_none(here, hub):
    shown = here("add", "tea", hub_id(path="/*.jsonl"), "--dry-run")
    sizes = {path: len(content) for path, content in hub.commits[A].items()}
    assert shown["files"] == [{"file": path, "bytes": sizes[path]} for path in sorted(sizes)]
    assert shown["bytes"] == sum(sizes.values())
    assert hub.fetched() == []
    assert not here.home.source_landing("tea").exists()


def test_what_cannot_be_read_is_taken_out_again(here, hub):
    hub.commits[B] = {"train.jsonl": b"\x89HDF not rows", "good.jsonl": jsonl(ROWS[:1])}
    refused = here("add", "tea", hub_id(B), code=1)
    assert "HDF5" in refused["message"]
    assert list(here.home.source_landing("tea").iterdir()) == []
    assert here("add", "tea", hub_id(B, "/good.jsonl"))["in_pool"] == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hf://datasets/org/name@main", "full commit id"),
        ("hf://datasets/org/name", "full commit id"),
        ("hf://org/name", "names no dataset"),
    ],
)
def test_ids_are_checked_at_the_door(here, hub, text, said):
    refused = here("add", "tea", text, code=2)
    assert said in refused["message"]
    assert refused["cure"]
    assert hub.asked == []


def test_not_beside_files_in_one_command(here, tmp_path):
    file = write_jsonl(tmp_path / "mine.jsonl", ROWS[:1])
    assert "alone" in here("add", "tea", hub_id(), str(file), code=2)["cure"]


def test_not_against_what_settings_name(here):
    here.home.create()
    here.home.settings.write_text(f'[sources.tea]\nhub = "{hub_id(B)}"\n')
    refused = here("add", "tea", hub_id(A), code=2)
    assert hub_id(B) in refused["message"]
    assert "deita-assets curate --source tea" in refused["cure"]


@pytest.mark.slow  # the engine's tests have each part of it
def test_a_file_of_ones_own_stands_beside_and_does_not_take_a_fetched_place(here, hub, tmp_path):
    here("add", "tea", hub_id())
    mine = write_jsonl(tmp_path / "mine.jsonl", [chat("mine", "too")])
    assert here("add", "tea", str(mine))["in_pool"] == 21
    train = write_jsonl(tmp_path / "train.jsonl", ROWS[:1])
    assert "Rename" in here("add", "tea", str(train), code=1)["cure"]
    assert (here.home.source_landing("tea") / "train.jsonl").read_bytes() == hub.commits[A]["train.jsonl"]
