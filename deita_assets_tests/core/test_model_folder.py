import hashlib
import json
import os

import pytest

from deita_assets.core.model_folder import file_sha256, tokenizer_sha256, weight_files, weights_sha256


def shards(folder, contents, *, index=None):
    """Shard files and their index, as a sharded model is saved."""
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    weight_map = {f"layer.{n}": name for n, name in enumerate(contents)} if index is None else index
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


def test_one_file_has_its_own_sha256(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights" * 1000)
    assert weights_sha256(tmp_path) == hashlib.sha256(b"weights" * 1000).hexdigest()


def test_shards_are_hashed_by_name_and_content(tmp_path):
    shards(tmp_path, {"model-2.safetensors": b"b", "model-1.safetensors": b"a"})
    lines = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in [("model-1.safetensors", b"a"), ("model-2.safetensors", b"b")]
    )
    assert weights_sha256(tmp_path) == hashlib.sha256(lines.encode()).hexdigest()


def test_stray_files_beside_the_shards_change_nothing(tmp_path):
    before = weights_sha256(shards(tmp_path, {"model-1.safetensors": b"a", "model-2.safetensors": b"b"}))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"x")
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    assert weights_sha256(tmp_path) == before


def test_a_single_file_wins_over_an_index(tmp_path):
    shards(tmp_path, {"model-1.safetensors": b"a"})
    (tmp_path / "model.safetensors").write_bytes(b"whole")
    assert [path.name for path in weight_files(tmp_path)] == ["model.safetensors"]


def test_a_folder_without_safetensors_has_no_weights(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    assert weight_files(tmp_path) == []
    with pytest.raises(FileNotFoundError, match="safetensors"):
        weights_sha256(tmp_path)


def test_a_missing_shard_is_named(tmp_path):
    shards(
        tmp_path,
        {"model-1.safetensors": b"a"},
        index={"x": "model-1.safetensors", "y": "model-2.safetensors"},
    )
    with pytest.raises(FileNotFoundError, match=r"model-2\.safetensors"):
        weight_files(tmp_path)


@pytest.mark.parametrize("index", [{"x": "../secret.safetensors"}, {"x": "/etc/passwd"}, {}, []])
def test_an_index_that_leaves_the_folder_or_names_nothing_is_refused(tmp_path, index):
    shards(tmp_path, {}, index=index)
    with pytest.raises(ValueError, match=r"index\.json"):
        weight_files(tmp_path)


@pytest.mark.parametrize("text", ["[]", "{", '{"weight_map": 3}'])
def test_an_index_of_another_form_is_refused(tmp_path, text):
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(ValueError):
        weight_files(tmp_path)


def test_a_rewritten_file_of_equal_size_gets_a_new_hash(tmp_path):
    path = tmp_path / "weights"
    path.write_bytes(b"aaaa")
    os.utime(path, ns=(1, 1))
    before = file_sha256(path)
    path.write_bytes(b"bbbb")
    os.utime(path, ns=(2, 2))
    assert (before, file_sha256(path)) == tuple(
        hashlib.sha256(text).hexdigest() for text in (b"aaaa", b"bbbb")
    )


def test_tokenizer_files_decide_the_tokenizer_hash(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    before = tokenizer_sha256(tmp_path)
    (tmp_path / "README.md").write_text("words")
    assert tokenizer_sha256(tmp_path) == before
    (tmp_path / "merges.txt").write_text("a b")
    assert tokenizer_sha256(tmp_path) != before
