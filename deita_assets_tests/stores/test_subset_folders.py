import hashlib
import json

import pytest

from deita_assets.errors import StoreError
from deita_assets.stores.subsets import check_folder, publish_folder


def write(folder):
    (folder / "data").mkdir()
    (folder / "train.jsonl").write_text("row\n")
    (folder / "data" / "train.parquet").write_bytes(b"PAR1")


def publish(target, writer=write, **provenance):
    return publish_folder(target, writer, {"spec": {"b": 1, "a": "ä"}}, provenance)


def everything(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def target(tmp_path):
    return tmp_path / "source" / "s" / "10" / "0123456789abcdef"


def test_manifest_lists_every_file_with_its_sha256(target):
    assert publish(target, run_id="r1")
    manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["spec"] == {"a": "ä", "b": 1}
    files = everything(target)
    assert {name: entry["sha256"] for name, entry in manifest["files"].items()} == {
        name: hashlib.sha256(content).hexdigest()
        for name, content in files.items()
        if name not in ("manifest.json", "provenance.json")
    }
    assert {name: entry["bytes"] for name, entry in manifest["files"].items()} == {
        "train.jsonl": 4, "data/train.parquet": 4,
    }  # fmt: skip
    assert json.loads(files["provenance.json"]) == {"run_id": "r1"}
    assert check_folder(target) == manifest


def test_publishing_again_touches_nothing(target):
    publish(target, run_id="r1")
    before = everything(target)

    def writer(folder):
        raise AssertionError("written again")

    assert not publish(target, writer, run_id="r2")
    assert everything(target) == before


@pytest.mark.parametrize("name", ["train.jsonl", "data/train.parquet"])
@pytest.mark.parametrize("harm", ["other", "gone", "folder"])
def test_an_altered_file_is_found(target, name, harm):
    publish(target)
    (target / name).unlink()
    if harm == "other":
        (target / name).write_bytes(b"rov\n")
    if harm == "folder":
        (target / name).mkdir()
    for look in (check_folder, publish):
        with pytest.raises(StoreError, match=rf"{target.name}/{name}: found ") as error:
            look(target)
        assert "Move it away" in error.value.cure


def test_a_file_that_was_slipped_in_is_found(target):
    """`load_dataset` reads data/train-*.parquet, whatever the manifest says."""
    publish(target)
    (target / "data" / "train-9.parquet").write_bytes(b"PAR1")
    with pytest.raises(StoreError, match=r"data/train-9\.parquet is not in the manifest"):
        check_folder(target)
    (target / "data" / "train-9.parquet").unlink()
    (target / ".DS_Store").write_bytes(b"")
    assert check_folder(target)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"{}", b'{"files": 1}', b"\xff"])
def test_a_folder_without_its_manifest_is_no_subset(target, content):
    publish(target)
    (target / "manifest.json").unlink()
    if content is not None:
        (target / "manifest.json").write_bytes(content)
    for look in (check_folder, publish):
        with pytest.raises(StoreError, match=r"manifest\.json is missing or no manifest"):
            look(target)


def test_a_missing_folder_is_told(target):
    with pytest.raises(StoreError, match="is missing"):
        check_folder(target)


def test_a_failing_writer_leaves_no_subset_and_no_obstacle(target):
    def writer(folder):
        write(folder)
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        publish(target, writer)
    assert not target.exists()
    assert publish(target)
    assert list(target.parent.iterdir()) == [target]


def test_leftovers_of_killed_publishes_are_removed(target):
    for name in (target.name, "fedcba9876543210"):
        (target.parent / f".new-{name}" / "data").mkdir(parents=True)
    assert publish(target)
    assert list(target.parent.iterdir()) == [target]


def test_what_stands_there_is_never_half_written(target):
    seen = []

    def writer(folder):
        write(folder)
        seen.append(target.exists())
        assert folder.parent == target.parent  # one file system, so that the rename is atomic

    assert publish(target, writer)
    assert seen == [False]
