import builtins
import json
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from deita_assets.errors import ScorerError, UsageError
from deita_assets.scorers import deita_prompt
from deita_assets.scorers.deita import DeitaScorer
from deita_assets_tests.scorers.tiny_models import save_llama, save_model, save_tokenizer, small_config


@pytest.fixture
def copy(llama, tmp_path):
    """A copy of the tiny model that the test may change."""
    return shutil.copytree(llama, tmp_path / "copy")


def test_digit_ids_are_those_after_the_trailing_space(llama):
    model = DeitaScorer(llama).load()
    vocabulary = json.loads((llama / "tokenizer.json").read_text())["model"]["vocab"]
    assert model.digit_ids == [vocabulary[digit] for digit in "123456"]


def test_a_tokenizer_that_glues_digits_to_the_space_is_refused(llama, copy):
    save_tokenizer(copy, split_digits=False)
    with pytest.raises(ScorerError) as caught:
        DeitaScorer(copy).score_turns([("hi", "")])
    assert "'1': ['Ġ1']" in str(caught.value) or "'1': ['Ġ', '1']" in str(caught.value)
    assert "expected one token each" in str(caught.value)
    assert caught.value.cure


def test_a_tokenizer_that_gives_all_digits_one_token_is_refused(copy):
    tokenizer = json.loads((copy / "tokenizer.json").read_text())
    tokenizer["normalizer"] = {"type": "Replace", "pattern": {"Regex": "[1-6]"}, "content": "1"}
    (copy / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(ScorerError, match="all different"):
        DeitaScorer(copy).load()


def test_pickled_weights_alone_are_refused(copy):
    weights = load_file(copy / "model.safetensors")
    torch.save(weights, copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    with pytest.raises(ScorerError) as caught:
        DeitaScorer(copy)
    assert "pytorch_model.bin" in str(caught.value)
    assert "save_pretrained" in caught.value.cure


def test_pickled_weights_beside_safetensors_are_not_read(llama, copy):
    (copy / "pytorch_model.bin").write_bytes(b"not a pickle")
    turns = [("Why is the sky blue?", "")]
    assert DeitaScorer(copy).score_turns(turns)[0] == DeitaScorer(llama).score_turns(turns)[0]


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json"])
def test_an_incomplete_folder_is_refused(copy, missing):
    (copy / missing).unlink()
    if missing == "tokenizer.json":
        (copy / "tokenizer_config.json").unlink()
    with pytest.raises(ScorerError, match="config.json|tokenizer"):
        DeitaScorer(copy).load()


@pytest.mark.parametrize("text", ["", "{", "[1]", "3"])
def test_a_broken_configuration_is_a_scorer_error(copy, text):
    (copy / "config.json").write_text(text)
    with pytest.raises(ScorerError, match=r"config\.json"):
        DeitaScorer(copy)


def test_a_missing_shard_is_named(tmp_path):
    folder = save_tokenizer(save_llama(tmp_path, sharded=True))
    shard = sorted(folder.glob("model-*.safetensors"))[1]
    shard.unlink()
    with pytest.raises(ScorerError, match=shard.name):
        DeitaScorer(folder)


def test_shards_score_like_one_file(llama, tmp_path):
    folder = save_tokenizer(save_llama(tmp_path, sharded=True))
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    turns = [("Why is the sky blue?", ""), ("hi", "")]
    assert (
        DeitaScorer(folder).score_turns(turns)[0].tolist()
        == DeitaScorer(llama).score_turns(turns)[0].tolist()
    )


def test_damaged_weights_are_a_scorer_error(copy):
    size = (copy / "model.safetensors").stat().st_size
    (copy / "model.safetensors").write_bytes(b"\xff" * size)
    with pytest.raises(ScorerError, match="cannot be loaded"):
        DeitaScorer(copy).load()


def test_code_in_a_models_folder_is_not_run(copy, tmp_path):
    (copy / "modeling_own.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\nfrom transformers import LlamaForCausalLM as OwnModel, "
        "LlamaConfig as OwnConfig\n"
    )
    config = json.loads((copy / "config.json").read_text())
    own = {"AutoConfig": "modeling_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnModel"}
    (copy / "config.json").write_text(json.dumps({**config, "model_type": "own", "auto_map": own}))
    with pytest.raises(ScorerError, match="cannot be loaded") as caught:
        DeitaScorer(copy).load()
    assert "code from the folder" in caught.value.cure
    assert not (tmp_path / "ran").exists()


def test_an_adapter_is_refused_because_its_base_would_come_from_elsewhere(copy):
    (copy / "adapter_config.json").write_text('{"base_model_name_or_path": "/elsewhere"}')
    with pytest.raises(ScorerError, match=r"adapter_config\.json") as caught:
        DeitaScorer(copy)
    assert "Merge" in caught.value.cure


def test_a_tokenizer_of_another_model_is_refused(tmp_path):
    folder = save_model(tmp_path, LlamaForCausalLM, small_config(LlamaConfig, vocab_size=40))
    with pytest.raises(ScorerError, match="the model knows 40 tokens") as caught:
        DeitaScorer(save_tokenizer(folder)).load()
    assert "tokenizer" in caught.value.cure


@pytest.mark.parametrize(
    ("device", "told"),
    [("cuda", "CUDA"), ("cuda:99", "cuda:99"), ("mps", "mps"), ("gpu", "gpu"), ("", "''"), ("meta", "meta")],
)
def test_a_device_that_is_not_there_is_named_with_those_that_are(llama, device, told):
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    if device == "mps" and torch.backends.mps.is_available():
        pytest.skip("this machine has MPS")
    scorer = DeitaScorer(llama, device=device)
    with pytest.raises(ScorerError) as caught:
        scorer.score_turns([("Why?", "")])
    assert told in caught.value.message
    assert f"device {device!r}" in caught.value.message
    assert torch.__version__ in caught.value.message
    assert "(cpu" in caught.value.cure


def test_a_missing_device_is_met_before_the_weights_are_read(copy):
    (copy / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(ScorerError, match="device 'cuda:99'"):
        DeitaScorer(copy, device="cuda:99").load()


def test_weights_without_a_head_are_refused_instead_of_filled_at_random(copy):
    weights = load_file(copy / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ScorerError, match="lm_head.weight"):
        DeitaScorer(copy).load()


def test_a_window_without_room_for_the_row_is_refused(llama):
    with pytest.raises(ScorerError, match="prompt alone needs"):
        DeitaScorer(llama, max_length=40).load()


def test_the_window_is_at_most_the_models_own(tmp_path):
    folder = save_tokenizer(save_llama(tmp_path, positions=256))
    assert DeitaScorer(folder).window == 256
    assert DeitaScorer(folder, max_length=200).window == 200


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "evol"},
        {"dtype": "int8"},
        {"truncation": "right"},
        {"max_length": 0},
        {"batch_tokens": 0},
        {"revision": "main"},
    ],
)
def test_impossible_options_are_usage_errors(llama, options):
    with pytest.raises(UsageError, match=next(iter(options))):
        DeitaScorer(llama, **options)


@pytest.mark.parametrize("library", ["torch", "transformers"])
def test_a_missing_library_is_named_with_the_cure(llama, monkeypatch, library):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == library:
            raise ImportError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ScorerError, match=library) as caught:
        DeitaScorer(llama).load()
    assert "pip install" in caught.value.cure


class TestFingerprint:
    def test_it_names_all_that_can_change_a_score(self, llama):
        fingerprint = DeitaScorer(llama, "quality").fingerprint
        assert fingerprint.kind == "scorer"
        assert fingerprint.name == "deita"
        assert {"weights_sha256", "template_sha256", "dtype", "truncation", "max_length", "algorithm"} <= set(
            fingerprint.spec
        )

    @pytest.mark.parametrize(
        "options",
        [{"dtype": "bfloat16"}, {"max_length": 512}, {"truncation": "none"}, {"kind": "quality"}],
    )
    def test_options_change_it(self, llama, options):
        assert DeitaScorer(llama).fingerprint.digest != DeitaScorer(llama, **options).fingerprint.digest

    @pytest.mark.parametrize("options", [{"batch_tokens": 77}, {"device": "cuda"}])
    def test_what_changes_no_score_does_not_change_it(self, llama, options):
        assert DeitaScorer(llama).fingerprint == DeitaScorer(llama, **options).fingerprint

    def test_a_moved_folder_keeps_it(self, llama, copy):
        assert DeitaScorer(llama).fingerprint == DeitaScorer(copy).fingerprint

    def test_one_changed_weight_changes_it_even_at_equal_size_and_path(self, copy):
        before = DeitaScorer(copy).fingerprint.digest
        weights = load_file(copy / "model.safetensors")
        weights["lm_head.weight"][0, 0] += 1.0
        save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
        assert DeitaScorer(copy).fingerprint.digest != before

    def test_a_changed_template_changes_it(self, llama, monkeypatch):
        before = DeitaScorer(llama).fingerprint.digest
        head, tail = deita_prompt.PIECES["complexity"]
        monkeypatch.setitem(deita_prompt.PIECES, "complexity", (head, tail.lstrip(" ")))
        assert DeitaScorer(llama).fingerprint.digest != before

    def test_another_tokenizer_changes_it(self, llama, copy):
        save_tokenizer(copy, bos=False)
        assert DeitaScorer(copy).fingerprint.digest != DeitaScorer(llama).fingerprint.digest

    def test_it_is_known_before_the_model_is_loaded(self, copy):
        (copy / "tokenizer.json").write_text("{}")
        assert len(DeitaScorer(copy).fingerprint.digest) == 16


class TestHub:
    COMMIT = "0123456789abcdef0123456789abcdef01234567"

    @pytest.fixture
    def cache(self, llama, tmp_path, monkeypatch):
        """A hub cache that holds the tiny model as `someone/tiny-scorer`, with no network."""
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        repository = tmp_path / "hub" / "models--someone--tiny-scorer"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text(self.COMMIT)
        shutil.copytree(llama, repository / "snapshots" / self.COMMIT)

    @pytest.mark.usefixtures("cache")
    def test_a_cached_hub_model_scores_offline_under_its_commit(self, llama):
        scorer = DeitaScorer("someone/tiny-scorer")
        assert scorer.fingerprint.spec["model"] == "someone/tiny-scorer"
        assert scorer.fingerprint.spec["revision"] == self.COMMIT
        turns = [("Why is the sky blue?", "")]
        assert scorer.score_turns(turns)[0] == DeitaScorer(llama).score_turns(turns)[0]

    @pytest.mark.usefixtures("cache")
    @pytest.mark.parametrize("name", ["someone/else", "no such folder", "/no/such/folder", ""])
    def test_an_unknown_model_is_a_scorer_error_with_a_cure(self, name):
        with pytest.raises(ScorerError) as caught:
            DeitaScorer(name)
        assert caught.value.cure


def test_importing_the_scorers_loads_no_model_library():
    code = (
        "import sys, deita_assets.scorers, deita_assets.scorers.deita, deita_assets.embedders.sentence;"
        "heavy = {'torch', 'transformers', 'tokenizers', 'huggingface_hub'} & set(sys.modules);"
        "sys.exit(repr(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
