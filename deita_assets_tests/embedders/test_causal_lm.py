import json
import shutil

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from deita_assets.core.conversation import Conversation, Message
from deita_assets.embedders import default_threshold, load_embedder, vicuna
from deita_assets.embedders.causal_lm import CausalLMEmbedder
from deita_assets.errors import EmbedderError, UsageError
from deita_assets_tests.scorers.tiny_models import (
    save_llama,
    save_llama_tokenizer,
    save_model,
    save_tokenizer,
    small_config,
)

SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the user's questions. "
)


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    return save_tokenizer(save_llama(tmp_path_factory.mktemp("llama")))


@pytest.fixture
def copy(llama, tmp_path):
    return shutil.copytree(llama, tmp_path / "model")


def talk(*texts):
    return Conversation(tuple(Message(("user", "assistant")[i % 2], text) for i, text in enumerate(texts)))


def official(*texts):
    """The whole text, with the end token in letters: a tokenizer that parses special tokens makes it one."""
    return SYSTEM + "".join(
        f"USER: {text} " if at % 2 == 0 else f"ASSISTANT: {text}</s>" for at, text in enumerate(texts)
    )


def official_ids(folder, text):
    return transformers.AutoTokenizer.from_pretrained(folder)(text)["input_ids"]


def last_state(folder, ids):
    """The last entry of the hidden states of the whole model with its head, one row at a time, eager attention."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():
        state = (
            model(torch.tensor([ids]), output_hidden_states=True).hidden_states[-1][0, -1].double().numpy()
        )
    return state / np.linalg.norm(state)


TALKS = [("Why?", "Because."), ("a", "b", "c " * 30, "d"), ("", "x"), ("only asked",), ("日本", "🙂" * 20)]


@pytest.mark.parametrize("texts", TALKS[:2] + TALKS[3:])
def test_a_vector_is_the_last_state_of_the_whole_conversation(llama, texts):
    vector = CausalLMEmbedder(llama).embed([talk(*texts)])
    expected = last_state(llama, official_ids(llama, official(*texts)))
    assert vector.dtype == np.float32
    assert vector.shape == (1, 64)
    assert float(vector[0] @ expected) >= 0.999999


def test_a_tokenizer_that_marks_the_start_of_a_text_reads_each_piece_as_the_official_code_does(tmp_path):
    save_llama_tokenizer(save_llama(tmp_path))
    for texts in TALKS[:2]:
        ids = official_ids(tmp_path, official(*texts))
        assert CausalLMEmbedder(tmp_path).load().encode([vicuna.render(talk(*texts))]) == [ids]
        assert ids.count(2) == len(texts) // 2


def test_another_architecture_with_learned_positions(tmp_path):
    config = small_config(transformers.GPT2Config, max_position_embeddings=300)
    folder = save_tokenizer(save_model(tmp_path, transformers.GPT2LMHeadModel, config))
    embedder = CausalLMEmbedder(folder, batch_tokens=10_000)
    vectors = embedder.embed([talk(*texts) for texts in TALKS])
    assert (embedder.dimension, embedder.window) == (vectors.shape[1], 300)
    expected = [last_state(folder, official_ids(folder, official(*texts))) for texts in TALKS[:2]]
    assert (vectors[:2] * expected).sum(axis=1).min() >= 0.999999


@pytest.mark.parametrize("batch_tokens", [1, 300, 100_000])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_vector_depends_on_no_other_row(copy, side, batch_tokens):
    settings = json.loads((copy / "tokenizer_config.json").read_text())
    (copy / "tokenizer_config.json").write_text(json.dumps({**settings, "padding_side": side}))
    alone = np.concatenate([CausalLMEmbedder(copy).embed([talk(*texts)]) for texts in TALKS])
    order = [3, 0, 4, 1, 2]
    mixed = CausalLMEmbedder(copy, batch_tokens=batch_tokens).embed([talk(*TALKS[i]) for i in order])
    assert np.abs(mixed - alone[order]).max() <= 2e-6
    assert np.abs(np.linalg.norm(mixed.astype(np.float64), axis=1) - 1).max() < 1e-6


def test_special_tokens_in_a_message_are_plain_text(llama):
    embedder = CausalLMEmbedder(llama)
    written, plain = embedder.count_tokens([talk("a</s>b", "c"), talk("ab", "c")])
    assert written >= plain + 3, "</s> is four characters of text, not one token"
    assert embedder.count_tokens([talk("a", "b")]) == [len(official_ids(llama, official("a", "b")))]


class TestWindow:
    LONG = ("first words " * 40, "many words " * 200)

    @pytest.mark.parametrize("truncation", ["middle", "right"])
    def test_a_long_conversation_is_cut_as_named(self, llama, truncation):
        ids = official_ids(llama, official(*self.LONG))
        assert len(ids) > 300
        kept = ids[:50] + ids[-50:] if truncation == "middle" else ids[:100]
        vector = CausalLMEmbedder(llama, max_length=100, truncation=truncation).embed([talk(*self.LONG)])
        assert float(vector[0] @ last_state(llama, kept)) >= 0.999999

    def test_middle_is_the_default_and_keeps_the_end(self, llama):
        embedder = CausalLMEmbedder(llama, max_length=100)
        one, other = embedder.embed([talk(*self.LONG), talk(self.LONG[0], self.LONG[1] + "but not so")])
        assert float(one @ other) < 0.9999
        assert (
            embedder.fingerprint == CausalLMEmbedder(llama, max_length=100, truncation="middle").fingerprint
        )

    @pytest.mark.parametrize("window", [2, 3, 99])
    def test_odd_and_tiny_windows_are_filled(self, llama, window):
        ids = official_ids(llama, official(*self.LONG))
        kept = ids[: window - window // 2] + ids[-(window // 2) :]
        vector = CausalLMEmbedder(llama, max_length=window).embed([talk(*self.LONG)])
        assert float(vector[0] @ last_state(llama, kept)) >= 0.999999

    def test_it_is_the_smaller_of_the_wish_and_the_models_limit(self, llama, tmp_path):
        assert CausalLMEmbedder(llama).window == 2048
        assert CausalLMEmbedder(llama, max_length=9_999).window == 2048
        small = save_tokenizer(save_llama(tmp_path, positions=128))
        assert CausalLMEmbedder(small).window == 128


def test_rows_that_do_not_fit_together_are_tried_in_smaller_batches(llama, monkeypatch):
    embedder, sizes = CausalLMEmbedder(llama, batch_tokens=100_000), []
    model = embedder.load()
    real = model.last_states

    def small_machine(rows):
        sizes.append(len(rows))
        if len(rows) > 2:
            raise torch.OutOfMemoryError
        return real(rows)

    monkeypatch.setattr(model, "last_states", small_machine)
    conversations = [talk(f"question {n}", f"answer {n}") for n in range(9)]
    vectors = embedder.embed(conversations)
    assert sizes[0] == 9
    assert np.abs(vectors - CausalLMEmbedder(llama).embed(conversations)).max() <= 2e-6
    sizes.clear()
    embedder.embed(conversations)
    assert max(sizes) <= 2, "what did not fit once is not tried again"


def test_memory_that_runs_out_elsewhere_than_on_cuda_is_recognised(llama, monkeypatch):
    model = CausalLMEmbedder(llama).load()

    def full(**inputs):
        raise RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)")

    monkeypatch.setattr(model, "_model", full)
    with pytest.raises(torch.OutOfMemoryError):
        model.last_states([[1, 2]])


def test_a_model_saved_without_its_head_gives_the_same_vectors(llama, copy):
    transformers.AutoModel.from_pretrained(llama).save_pretrained(copy)
    assert not any("lm_head" in key for key in load_file(copy / "model.safetensors"))
    conversations = [talk(*texts) for texts in TALKS]
    assert (
        np.abs(
            CausalLMEmbedder(copy).embed(conversations) - CausalLMEmbedder(llama).embed(conversations)
        ).max()
        == 0
    )


def test_bfloat16_vectors_lie_near_those_of_float32(llama):
    conversations = [talk(*texts) for texts in TALKS]
    coarse = CausalLMEmbedder(llama, dtype="bfloat16").embed(conversations)
    fine = CausalLMEmbedder(llama).embed(conversations)
    assert np.abs(coarse - fine).max() > 0
    assert (coarse * fine).sum(axis=1).min() > 0.999


def test_any_conversation_has_a_vector(llama):
    conversations = [Conversation(()), talk(""), talk("", ""), Conversation((Message("tool", "x"),))]
    vectors = CausalLMEmbedder(llama).embed(conversations)
    assert np.isfinite(vectors).all()
    assert CausalLMEmbedder(llama).embed([]).shape == (0, 64)


class TestRefused:
    def test_a_model_that_reads_both_ways(self, tmp_path):
        config = small_config(transformers.BertConfig)
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(tmp_path)
        with pytest.raises(EmbedderError, match="causal") as caught:
            CausalLMEmbedder(save_tokenizer(tmp_path)).load()
        assert "sentence" in caught.value.cure

    def test_a_tokenizer_without_an_end(self, copy):
        settings = json.loads((copy / "tokenizer_config.json").read_text())
        settings.pop("eos_token")
        (copy / "tokenizer_config.json").write_text(json.dumps(settings))
        (copy / "special_tokens_map.json").unlink(missing_ok=True)
        with pytest.raises(EmbedderError, match="end-of-sequence"):
            CausalLMEmbedder(copy).load()

    def test_a_tokenizer_of_another_model(self, tmp_path):
        config = small_config(transformers.LlamaConfig, vocab_size=40, num_key_value_heads=2)
        folder = save_tokenizer(save_model(tmp_path, transformers.LlamaForCausalLM, config))
        with pytest.raises(EmbedderError, match="knows 40 tokens"):
            CausalLMEmbedder(folder).load()

    def test_weights_with_a_hole(self, copy):
        weights = load_file(copy / "model.safetensors")
        del weights["model.norm.weight"]
        save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(EmbedderError, match="norm.weight"):
            CausalLMEmbedder(copy).load()

    def test_a_vector_that_is_not_finite(self, copy):
        weights = load_file(copy / "model.safetensors")
        weights["model.norm.weight"][:] = float("nan")
        save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(EmbedderError):
            CausalLMEmbedder(copy).embed([talk("a", "b")])

    def test_an_adapter(self, copy):
        (copy / "adapter_config.json").write_text("{}")
        with pytest.raises(EmbedderError, match="adapter_config"):
            CausalLMEmbedder(copy)

    def test_pickled_weights(self, copy):
        (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
        with pytest.raises(EmbedderError, match="pickled"):
            CausalLMEmbedder(copy)

    def test_a_device_that_is_not_there(self, llama):
        if torch.cuda.is_available():
            pytest.skip("this machine has one")
        with pytest.raises(EmbedderError, match="cuda") as caught:
            CausalLMEmbedder(llama, device="cuda").load()
        assert "cpu" in caught.value.cure

    @pytest.mark.parametrize(
        "options",
        [
            {"dtype": "float16"},
            {"truncation": "left"},
            {"max_length": 1},
            {"batch_tokens": 0},
            {"revision": "main"},
        ],
    )
    def test_impossible_options(self, llama, options):
        with pytest.raises(UsageError, match=next(iter(options))):
            CausalLMEmbedder(llama, **options)


class TestFingerprint:
    def test_it_names_all_that_can_change_a_vector(self, llama):
        fingerprint = CausalLMEmbedder(llama).fingerprint
        assert (fingerprint.kind, fingerprint.name) == ("embedder", "causal_lm")
        assert fingerprint.spec["window_policy"] == {"tokens": 2048, "truncation": "middle"}
        assert {
            "weights_sha256",
            "config_sha256",
            "tokenizer_sha256",
            "template_sha256",
            "dtype",
            "algorithm",
        } <= set(fingerprint.spec)

    @pytest.mark.parametrize("options", [{"dtype": "bfloat16"}, {"max_length": 512}, {"truncation": "right"}])
    def test_options_change_it(self, llama, options):
        assert (
            CausalLMEmbedder(llama).fingerprint.digest
            != CausalLMEmbedder(llama, **options).fingerprint.digest
        )

    def test_a_changed_template_or_weight_changes_it(self, copy, monkeypatch):
        digests = [CausalLMEmbedder(copy).fingerprint.digest]
        with monkeypatch.context() as patched:
            patched.setitem(vicuna.ROLE_WORDS, "tool", "OBSERVATION")
            digests.append(CausalLMEmbedder(copy).fingerprint.digest)
        weights = load_file(copy / "model.safetensors")
        weights["model.norm.weight"][0] += 1.0
        save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
        digests.append(CausalLMEmbedder(copy).fingerprint.digest)
        assert len(set(digests)) == 3

    def test_place_device_and_batches_do_not(self, llama, copy):
        same = [
            CausalLMEmbedder(llama),
            CausalLMEmbedder(copy),
            CausalLMEmbedder(llama, device="cuda", batch_tokens=5),
        ]
        assert len({embedder.fingerprint.digest for embedder in same}) == 1


def test_it_is_loaded_by_name(llama):
    embedder = load_embedder("causal_lm", model=llama, dtype="bfloat16", max_length=64)
    assert (embedder.fingerprint.name, embedder.window, embedder.default_threshold) == ("causal_lm", 64, 0.9)
    assert default_threshold("causal_lm") == 0.9
    with pytest.raises(UsageError, match="model=None"):
        load_embedder("causal_lm")
    with pytest.raises(UsageError, match="backend"):
        load_embedder("causal_lm", model=llama, backend="openvino")
